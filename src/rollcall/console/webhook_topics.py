"""What a destination can hear of, in words for whoever chooses."""

from collections.abc import Mapping, Sequence

from rollcall.journal.events import TOPICS

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "People": {
        "user.deactivated": "Somebody lost access, and everything they had open is closed",
        "user.removed": "Somebody was removed at the identity provider",
        "user.provisioned": "Somebody got access",
        "user.reactivated": "Somebody got access again",
        "user.updated": "Somebody's name, address or another attribute changed",
        "user.role_changed": "Somebody got another role",
        "person.erased": "Somebody who had left was erased; delete what you have of them",
        "user.linked": "Somebody got a former account back",
    },
    "Roles and groups": {
        "role_rule.changed": "The role rule was edited",
        "conflict.opened": "Somebody's role names contradict each other",
        "conflict.closed": "That is over",
        "unknown_role.opened": "Somebody has a name that begins like a role and is none",
        "unknown_role.closed": "That is over",
        "group.created": "A group was pushed",
        "group.changed": "A group was renamed or has other members",
        "group.removed": "A group was removed",
    },
    "Ways in": {
        "session.closed": "A session was closed",
        "token.issued": "A token was issued",
        "token.rotated": "A token was replaced",
        "token.handed_over": "Another admin has taken a token over",
        "token.revoked": "A token was revoked",
        "passkey.registered": "Somebody added a passkey",
        "passkey.closed": "A passkey was removed",
        "passkey.copy_suspected": "A passkey seems to have been copied",
        "external_credential.registered": "A credential of somebody's was registered",
        "external_credential.closed": "A credential of somebody's was closed",
    },
    "Alerts": {
        "alert.opened": "Something needs attention",
        "alert.closed": "That is over",
        "tenant.mass_change": "Unusually many people left within an hour",
        "tenant.mass_change_released": "An admin has looked at that and released it",
        "tenant.without_admin": "The last admin has left",
        "tenant.deputy_appointed": "Nobody was an admin any more, so the deputy has become one",
        "tenant.deputy_named": "Another deputy was named, or none",
        "destination.disabled": "A destination is not called any more",
    },
    "Plan and company": {
        "tenant.over_seats": "More people are active than there are seats",
        "tenant.within_seats": "That is over",
        "tenant.plan_changed": "The plan changed",
        "tenant.lapsed": "The plan no longer includes SCIM",
        "tenant.lapse_changed": "The dates of that changed",
        "tenant.lapse_ended": "The plan includes SCIM again",
        "tenant.override_set": "Something was allowed beside the plan",
        "tenant.override_ended": "Somebody ended that",
        "tenant.override_ran_out": "That ran out",
        "tenant.payment_changed": "What is paid for beside the plan changed",
        "tenant.profile_taken": "The identity provider was recognised",
        "tenant.created": "The company was taken on",
        "tenant.changed": "Its settings changed",
        "tenant.suspended": "It was suspended",
        "tenant.resumed": "It was resumed",
        "audit.retention_shortened": "The audit is going to be kept for a shorter time",
    },
}
"""Every topic that is announced, by what it is about."""

WORDS: Mapping[str, str] = {
    **{topic: said for about in MEANINGS.values() for topic, said in about.items()},
    "destination.tested": "A test",
}


def announced() -> Sequence[str]:
    """The topics that are told to the outside."""
    return [topic for topic, event in TOPICS.items() if event.announced]
