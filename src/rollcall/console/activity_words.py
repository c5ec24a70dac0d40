"""What an entry of the audit says, in words for an admin."""

from collections.abc import Mapping
from uuid import UUID

from rollcall.journal.models import AuditEntry

_HAPPENED = {
    "user.deactivated": "{whom} lost access",
    "user.removed": "{whom} was removed",
    "user.provisioned": "{whom} got access",
    "user.reactivated": "{whom} got access again",
    "person.erased": "Somebody who had left was erased",
    "user.linked": "{whom} was linked to their former account",
    "conflict.opened": "{whom} has contradicting role names",
    "tenant.deputy_appointed": "The deputy, {whom}, became an admin",
    "tenant.deputy_named": "Another deputy was named, or none",
    "user.role_changed": "{whom} got another role",
    "user.updated": "{whom} was changed",
    "group.created": "A group came",
    "group.removed": "A group was removed",
    "group.changed": "A group changed",
    "role_rule.changed": "The role rule was changed",
    "token.issued": "A token was issued",
    "token.rotated": "A token was replaced",
    "token.revoked": "A token was revoked",
    "token.handed_over": "A token was taken over",
    "unknown_role.opened": "{whom} has a role name that means nothing here",
    "conflict.closed": "The names of {whom} contradict each other no longer",
    "unknown_role.closed": "{whom} has no unknown role name any more",
    "destination.created": "A webhook was registered",
    "destination.changed": "A webhook was changed",
    "destination.secret_rotated": "A webhook got a new secret",
    "destination.enabled": "A webhook was resumed",
    "destination.disabled": "A webhook was paused",
    "destination.removed": "A webhook was deleted",
    "destination.tested": "A test was sent to a webhook",
    "deliveries.replayed": "Events were sent to a webhook again",
    "tenant.created": "The company was taken on",
    "tenant.changed": "Settings of the company were changed",
    "tenant.plan_changed": "The plan was changed",
    "tenant.lapsed": "The plan lost SCIM",
    "tenant.lapse_ended": "The plan includes SCIM again",
    "tenant.lapse_changed": "The dates of a plan without SCIM were changed",
    "tenant.override_set": "Something was allowed beside the plan",
    "tenant.override_ended": "Something allowed beside the plan was taken away",
    "tenant.override_ran_out": "Something allowed beside the plan ran out",
    "tenant.payment_changed": "What is paid for beside the plan changed",
    "tenant.without_admin": "Nobody is an admin any more",
    "audit.retention_shortened": "The activity is to be kept for a shorter time",
    "tenant.suspended": "The company was suspended",
    "tenant.resumed": "The company was resumed",
    "tenant.profile_taken": "The identity provider was recognised",
    "tenant.mass_change": "Unusually many people left",
    "tenant.mass_change_released": "A mass change was released",
    "tenant.over_seats": "There are more people than seats",
    "tenant.within_seats": "There are no more people than seats again",
    "alert.opened": "Something needs attention",
    "alert.closed": "Something needs no attention any more",
    "session.opened": "{whom} signed in to the product",
    "session.closed": "A session of {whom} was closed",
    "console.signed_in": "{whom} signed in to this console",
    "console.signed_out": "{whom} signed out of this console",
    "console.exported": "{whom} took a list out as a file",
    "console.rehearsed": "{whom} rehearsed the set-up of an identity provider",
    "console.code_issued": "A sign-in code was made for {whom}",
    "console.portal_link_issued": "A link to this console was made for {whom}",
    "console.code_withdrawn": "A sign-in code of {whom} was withdrawn",
    "console.portal_link_withdrawn": "A link to this console for {whom} was withdrawn",
    "console.portal_entered": "{whom} came to this console by a link",
    "console.viewed": "An operator looked at this console",
    "console.portal_left": "{whom} left this console",
    "console.contact_link_issued": "A link for somebody without an account was made in the name of {whom}",
    "console.contact_link_withdrawn": "A link in the name of {whom} was revoked",
    "console.contact_entered": "Somebody came to this console by a link of {whom}",
    "console.password_set": "A password was set for {whom}",
    "console.password_removed": "The password of {whom} was removed",
    "console.confirmed": "{whom} confirmed who they are",
    "passkey.registered": "{whom} added a passkey",
    "passkey.closed": "{whom} removed a passkey",
    "passkey.copy_suspected": "A passkey of {whom} seems to have been copied",
    "external_credential.registered": "A credential of {whom} was registered",
    "external_credential.closed": "A credential of {whom} was closed",
}
"""By what happened; the first that an entry names counts, in this order."""

_ASKED = {
    "scim.users.list": "Looked people up",
    "scim.users.search": "Looked people up",
    "scim.search": "Looked people and groups up",
    "scim.users.read": "Read {whom}",
    "scim.groups.list": "Looked groups up",
    "scim.groups.read": "Read a group",
    "scim.discovery": "Asked what is supported",
    "scim.users.create": "Create a person",
    "scim.users.patch": "Change {whom}",
    "scim.users.replace": "Replace {whom}",
    "scim.users.delete": "Remove {whom}",
    "scim.groups.create": "Create a group",
    "scim.groups.patch": "Change a group",
    "scim.groups.replace": "Replace a group",
    "scim.groups.delete": "Remove a group",
    "scim.bulk": "Several changes at once",
}
"""By what was asked for, where nothing happened."""


def worded(entry: AuditEntry, names: Mapping[UUID, str]) -> str:
    """An entry in words; its action as it is written down where there are none."""
    whom = names.get(entry.account_id, "Somebody") if entry.account_id is not None else "Somebody"
    events = set(entry.events) or {entry.action}
    happened = next((said for event, said in _HAPPENED.items() if event in events), None)
    said = happened or _ASKED.get(entry.action, entry.action)
    return said.format(whom=whom)
