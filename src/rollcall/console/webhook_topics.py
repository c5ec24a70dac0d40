"""What a destination can hear of, in words for whoever chooses."""

from collections.abc import Mapping, Sequence

from rollcall.console.words import mark
from rollcall.journal.events import TOPICS

MEANINGS: Mapping[str, Mapping[str, str]] = {
    mark("People"): {
        "user.deactivated": mark("Somebody lost access, and everything they had open is closed"),
        "user.removed": mark("Somebody was removed at the identity provider"),
        "user.provisioned": mark("Somebody got access"),
        "user.reactivated": mark("Somebody got access again"),
        "user.updated": mark("Somebody's name, address or another attribute changed"),
        "user.role_changed": mark("Somebody got another role"),
        "user.linked": mark("Somebody got a former account back"),
    },
    mark("Roles and groups"): {
        "role_rule.changed": mark("The role rule was edited"),
        "conflict.opened": mark("Somebody's role names contradict each other"),
        "conflict.closed": mark("That is over"),
        "unknown_role.opened": mark("Somebody has a name that begins like a role and is none"),
        "unknown_role.closed": mark("That is over"),
        "group.created": mark("A group was pushed"),
        "group.changed": mark("A group was renamed or has other members"),
        "group.removed": mark("A group was removed"),
    },
    mark("Ways in"): {
        "session.closed": mark("A session was closed"),
        "token.issued": mark("A token was issued"),
        "token.rotated": mark("A token was replaced"),
        "token.handed_over": mark("Another admin has taken a token over"),
        "token.revoked": mark("A token was revoked"),
        "passkey.registered": mark("Somebody added a passkey"),
        "passkey.closed": mark("A passkey was removed"),
        "passkey.copy_suspected": mark("A passkey seems to have been copied"),
        "external_credential.registered": mark("A credential of somebody's was registered"),
        "external_credential.closed": mark("A credential of somebody's was closed"),
    },
    mark("Alerts"): {
        "alert.opened": mark("Something needs attention"),
        "alert.closed": mark("That is over"),
        "tenant.mass_change": mark("Unusually many people left within an hour"),
        "tenant.mass_change_released": mark("An admin has looked at that and released it"),
        "tenant.without_admin": mark("The last admin has left"),
        "tenant.deputy_appointed": mark("Nobody was an admin any more, so the deputy has become one"),
        "tenant.deputy_named": mark("Another deputy was named, or none"),
        "destination.disabled": mark("A destination is not called any more"),
    },
    mark("Plan and company"): {
        "tenant.over_seats": mark("More people are active than there are seats"),
        "tenant.within_seats": mark("That is over"),
        "tenant.plan_changed": mark("The plan changed"),
        "tenant.lapsed": mark("The plan no longer includes SCIM"),
        "tenant.lapse_changed": mark("The dates of that changed"),
        "tenant.lapse_ended": mark("The plan includes SCIM again"),
        "tenant.override_set": mark("Something was allowed beside the plan"),
        "tenant.override_ended": mark("Somebody ended that"),
        "tenant.override_ran_out": mark("That ran out"),
        "tenant.payment_changed": mark("What is paid for beside the plan changed"),
        "tenant.profile_taken": mark("The identity provider was recognised"),
        "tenant.created": mark("The company was taken on"),
        "tenant.changed": mark("Its settings changed"),
        "tenant.suspended": mark("It was suspended"),
        "tenant.resumed": mark("It was resumed"),
        "audit.retention_shortened": mark("The audit is going to be kept for a shorter time"),
    },
}
"""Every topic that is announced, by what it is about."""

WORDS: Mapping[str, str] = {
    **{topic: said for about in MEANINGS.values() for topic, said in about.items()},
    "destination.tested": mark("A test"),
}


def announced() -> Sequence[str]:
    """The topics that are told to the outside."""
    return [topic for topic, event in TOPICS.items() if event.announced]
