"""What an entry of the audit says, in words for an admin."""

from collections.abc import Mapping
from uuid import UUID

from rollcall.console.words import gettext, mark
from rollcall.journal.models import AuditEntry

_HAPPENED = {
    "user.deactivated": mark("%(whom)s lost access"),
    "user.removed": mark("%(whom)s was removed"),
    "user.provisioned": mark("%(whom)s got access"),
    "user.reactivated": mark("%(whom)s got access again"),
    "user.linked": mark("%(whom)s was linked to their former account"),
    "conflict.opened": mark("%(whom)s has contradicting role names"),
    "tenant.deputy_appointed": mark("The deputy, %(whom)s, became an admin"),
    "tenant.deputy_named": mark("Another deputy was named, or none"),
    "user.role_changed": mark("%(whom)s got another role"),
    "user.updated": mark("%(whom)s was changed"),
    "group.created": mark("A group came"),
    "group.removed": mark("A group was removed"),
    "group.changed": mark("A group changed"),
    "role_rule.changed": mark("The role rule was changed"),
    "token.issued": mark("A token was issued"),
    "token.rotated": mark("A token was replaced"),
    "token.revoked": mark("A token was revoked"),
    "token.handed_over": mark("A token was taken over"),
    "unknown_role.opened": mark("%(whom)s has a role name that means nothing here"),
    "conflict.closed": mark("The names of %(whom)s contradict each other no longer"),
    "unknown_role.closed": mark("%(whom)s has no unknown role name any more"),
    "destination.created": mark("A webhook was registered"),
    "destination.changed": mark("A webhook was changed"),
    "destination.secret_rotated": mark("A webhook got a new secret"),
    "destination.enabled": mark("A webhook was resumed"),
    "destination.disabled": mark("A webhook was paused"),
    "destination.removed": mark("A webhook was deleted"),
    "destination.tested": mark("A test was sent to a webhook"),
    "deliveries.replayed": mark("Events were sent to a webhook again"),
    "tenant.created": mark("The company was taken on"),
    "tenant.changed": mark("Settings of the company were changed"),
    "tenant.plan_changed": mark("The plan was changed"),
    "tenant.lapsed": mark("The plan lost SCIM"),
    "tenant.lapse_ended": mark("The plan includes SCIM again"),
    "tenant.lapse_changed": mark("The dates of a plan without SCIM were changed"),
    "tenant.override_set": mark("Something was allowed beside the plan"),
    "tenant.override_ended": mark("Something allowed beside the plan was taken away"),
    "tenant.override_ran_out": mark("Something allowed beside the plan ran out"),
    "tenant.payment_changed": mark("What is paid for beside the plan changed"),
    "tenant.without_admin": mark("Nobody is an admin any more"),
    "audit.retention_shortened": mark("The activity is to be kept for a shorter time"),
    "tenant.suspended": mark("The company was suspended"),
    "tenant.resumed": mark("The company was resumed"),
    "tenant.profile_taken": mark("The identity provider was recognised"),
    "tenant.mass_change": mark("Unusually many people left"),
    "tenant.mass_change_released": mark("A mass change was released"),
    "tenant.over_seats": mark("There are more people than seats"),
    "tenant.within_seats": mark("There are no more people than seats again"),
    "alert.opened": mark("Something needs attention"),
    "alert.closed": mark("Something needs no attention any more"),
    "session.opened": mark("%(whom)s signed in to the product"),
    "session.closed": mark("A session of %(whom)s was closed"),
    "console.signed_in": mark("%(whom)s signed in to this console"),
    "console.signed_out": mark("%(whom)s signed out of this console"),
    "console.exported": mark("%(whom)s took a list out as a file"),
    "console.rehearsed": mark("%(whom)s rehearsed the set-up of an identity provider"),
    "console.code_issued": mark("A sign-in code was made for %(whom)s"),
    "console.portal_link_issued": mark("A link to this console was made for %(whom)s"),
    "console.code_withdrawn": mark("A sign-in code of %(whom)s was withdrawn"),
    "console.portal_link_withdrawn": mark("A link to this console for %(whom)s was withdrawn"),
    "console.portal_entered": mark("%(whom)s came to this console by a link"),
    "console.viewed": mark("An operator looked at this console"),
    "console.portal_left": mark("%(whom)s left this console"),
    "console.contact_link_issued": mark("A link for somebody without an account was made in the name of %(whom)s"),
    "console.contact_link_withdrawn": mark("A link in the name of %(whom)s was revoked"),
    "console.contact_entered": mark("Somebody came to this console by a link of %(whom)s"),
    "console.password_set": mark("A password was set for %(whom)s"),
    "console.password_removed": mark("The password of %(whom)s was removed"),
    "console.confirmed": mark("%(whom)s confirmed who they are"),
    "passkey.registered": mark("%(whom)s added a passkey"),
    "passkey.closed": mark("%(whom)s removed a passkey"),
    "passkey.copy_suspected": mark("A passkey of %(whom)s seems to have been copied"),
    "external_credential.registered": mark("A credential of %(whom)s was registered"),
    "external_credential.closed": mark("A credential of %(whom)s was closed"),
}
"""By what happened; the first that an entry names counts, in this order."""

_ASKED = {
    "scim.users.list": mark("Looked people up"),
    "scim.users.search": mark("Looked people up"),
    "scim.search": mark("Looked people and groups up"),
    "scim.users.read": mark("Read %(whom)s"),
    "scim.groups.list": mark("Looked groups up"),
    "scim.groups.read": mark("Read a group"),
    "scim.discovery": mark("Asked what is supported"),
    "scim.users.create": mark("Create a person"),
    "scim.users.patch": mark("Change %(whom)s"),
    "scim.users.replace": mark("Replace %(whom)s"),
    "scim.users.delete": mark("Remove %(whom)s"),
    "scim.groups.create": mark("Create a group"),
    "scim.groups.patch": mark("Change a group"),
    "scim.groups.replace": mark("Replace a group"),
    "scim.groups.delete": mark("Remove a group"),
    "scim.bulk": mark("Several changes at once"),
}
"""By what was asked for, where nothing happened."""


def worded(entry: AuditEntry, names: Mapping[UUID, str]) -> str:
    """An entry in words; its action as it is written down where there are none."""
    nobody = gettext("Somebody")
    whom = names.get(entry.account_id, nobody) if entry.account_id is not None else nobody
    events = set(entry.events) or {entry.action}
    happened = next((said for event, said in _HAPPENED.items() if event in events), None)
    said = happened or _ASKED.get(entry.action)
    return entry.action if said is None else gettext(said, whom=whom)
