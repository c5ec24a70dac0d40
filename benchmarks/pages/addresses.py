"""Every page of the console that can be opened by its address, in the forms that cost differently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from litestar import Litestar
from litestar.routes import HTTPRoute
from pydantic import SecretStr

from rollcall.console import make_router
from rollcall.crypto import new_secret_key
from rollcall.settings import Settings


class Who(Enum):
    """Who opens a page."""

    ADMIN = auto()
    OPERATOR = auto()
    STRANGER = auto()


@dataclass(frozen=True, slots=True)
class Page:
    """A page in one of its forms; what stands in braces in *address* is a fact of the installation's."""

    name: str
    address: str
    who: Who
    status: int = 200
    is_file: bool = False
    """Whether its beginning is what is waited for; each takes a session of its own."""
    is_live: bool = False
    """Whether pages ask for it by themselves, every few seconds, for everybody who has them open."""


class PageForgotten(RuntimeError):
    """The console has a page that is not measured, or one is measured that it does not have."""


def pages() -> Sequence[Page]:
    """All of them.

    Raises:
        PageForgotten: the console's routes and the list here are not the same.
    """
    there = _opened()
    listed = {*ADMINS, *OPERATORS, *STRANGERS, *NO_PAGES}
    if missing := there - listed:
        raise PageForgotten(f"not measured: {', '.join(sorted(missing))}; add them to benchmarks/pages/addresses.py")
    if gone := listed - there:
        raise PageForgotten(f"no page of the console: {', '.join(sorted(gone))}")
    return [
        Page(f"{name} {form}".strip(), address, who, status, name in FILES, name in LIVE)
        for who, listed in ((Who.ADMIN, ADMINS), (Who.OPERATOR, OPERATORS), (Who.STRANGER, STRANGERS))
        for name, forms in listed.items()
        for form, address, status in (each if isinstance(each, tuple) else ("", each, 200) for each in forms)
    ]


def _opened() -> set[str]:
    """The names of all routes of the console that answer GET."""
    address = SecretStr("postgresql://nobody@127.0.0.1/nothing")
    settings = Settings(
        database_url=address,
        migration_database_url=address,
        redis_url=SecretStr("redis://127.0.0.1"),
        secret_keys=(SecretStr(new_secret_key()),),
    )
    app = Litestar([make_router(settings)], openapi_config=None)
    return {
        handler.name or str(handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "GET" in handler.http_methods
    }


_Form = str | tuple[str, str, int]
"""An address; or what form of the page it is, its address, and the status it answers."""

_PERSON, _WEBHOOK = "/console/people/{person}", "/console/webhooks/{destination}"

ADMINS: Mapping[str, Sequence[_Form]] = {
    "console_home": ["/console/"],
    "console_ask_release": ["/console/alerts/{mass_change}/release"],
    "console_ask_who": ["/console/confirm?act=/console/tokens"],
    "console_setup": ["/console/setup", ("of one provider", "/console/setup?provider=okta", 200)],
    "console_setup_live": ["/console/setup/live"],
    "console_setup_print": ["/console/setup/okta/print"],
    "console_ask_to_rehearse": ["/console/setup/okta/rehearse"],
    "console_tokens": ["/console/tokens", ("page 2", "/console/tokens?cursor={tokens_on}", 200)],
    "console_ask_rotate_token": ["/console/tokens/{token}/rotate"],
    "console_ask_take_over": ["/console/tokens/{left_behind}/take-over"],
    "console_ask_revoke_token": ["/console/tokens/{token}/revoke"],
    "console_people": [
        "/console/people",
        ("page 2", "/console/people?cursor={people_on}", 200),
        ("last page", "/console/people?cursor={people_last}", 200),
        ("whose name begins so", "/console/people?q=amara.okonkwo.1", 200),
        ("of no such name", "/console/people?q=nobody", 200),
    ],
    "console_new_person": ["/console/people/new"],
    "console_person": [
        _PERSON,
        ("busiest", "/console/people/{busiest}", 200),
        ("who left", "/console/people/{left}", 200),
    ],
    "console_ask_deactivate": [_PERSON + "/deactivate", ("busiest", "/console/people/{busiest}/deactivate", 200)],
    "console_ask_role": [_PERSON + "/role?role=guest"],
    "console_ask_lift": [_PERSON + "/lift"],
    "console_ask_link": [("nobody to link", _PERSON + "/link", 404)],
    "console_ask_close_way_in": ["/console/people/{busiest}/ways-in/token/{script}/close"],
    "console_groups": [
        "/console/groups",
        ("page 2", "/console/groups?cursor={groups_on}", 200),
        ("last page", "/console/groups?cursor={groups_last}", 200),
    ],
    "console_group": [
        ("of everybody", "/console/groups/{everybody}", 200),
        ("of everybody, page 2", "/console/groups/{everybody}?cursor={members_on}", 200),
        ("of everybody, last page", "/console/groups/{everybody}?cursor={members_last}", 200),
        ("of few", "/console/groups/{few}", 200),
    ],
    "console_roles": [
        "/console/roles",
        ("a name tried", "/console/roles?name=dart-wizards", 200),
        ("cases, page 2", "/console/roles?cursor={cases_on}", 200),
    ],
    "console_edit_roles": ["/console/roles/edit"],
    "console_activity": [
        "/console/activity",
        ("page 2", "/console/activity?cursor={activity_on}", 200),
        ("last page", "/console/activity?cursor={activity_last}", 200),
        ("refused", "/console/activity?outcome=refused", 200),
        ("refused, last page", "/console/activity?outcome=refused&cursor={activity_last}", 200),
        *(
            (f"of {each}", f"/console/activity?action={each}", 200)
            for each in ("scim", "user", "token", "role_rule", "destination", "console")
        ),
    ],
    "console_one_request": ["/console/activity/{request}", ("oldest", "/console/activity/{first_request}", 200)],
    "console_departures": [
        "/console/departures",
        ("page 2", "/console/departures?cursor={departures_on}", 200),
        ("last page", "/console/departures?cursor={departures_last}", 200),
    ],
    "console_bundle": ["/console/departures/bundle?month={month}"],
    "console_receipt": ["/console/departures/{receipt}/receipt"],
    "console_webhooks": ["/console/webhooks"],
    "console_new_webhook": ["/console/webhooks/new"],
    "console_ask_edit_webhook": [_WEBHOOK + "/edit"],
    "console_ask_rotate_secret": [_WEBHOOK + "/secret"],
    "console_ask_pause_webhook": [_WEBHOOK + "/pause"],
    "console_ask_delete_webhook": [_WEBHOOK + "/delete"],
    "console_webhook": [
        _WEBHOOK,
        ("page 2", _WEBHOOK + "?cursor={deliveries_on}", 200),
        ("last page", _WEBHOOK + "?cursor={deliveries_last}", 200),
        *(
            (f"{each} of one that fails", "/console/webhooks/{failing}?only=" + each, 200)
            for each in ("pending", "dead", "delivered", "cancelled")
        ),
        ("dead of one that works", _WEBHOOK + "?only=dead", 200),
    ],
    "console_delivery": [_WEBHOOK + "/deliveries/{delivery}"],
    "console_ask_replay": ["/console/webhooks/{failing}/replay"],
    "console_plan": ["/console/plan"],
    "console_team": ["/console/team"],
    "console_ask_appoint": ["/console/team/{person}/appoint"],
    "console_ask_deputy": ["/console/team/{person}/deputy"],
    "console_ask_no_deputy": [("nobody is", "/console/team/no-deputy", 303)],
    "console_ask_revoke_link": ["/console/team/links/{link}/revoke"],
    "console_account": ["/console/account"],
    "console_own_password": [("not for emergencies", "/console/account/password", 409)],
    "console_ask_password": ["/console/account/password/remove"],
    "console_ask_about_passkey": ["/console/account/passkeys/{passkey}/remove"],
    "console_ask_about_session": ["/console/account/sessions/{session}/close"],
    "console_ask_about_others": ["/console/account/sessions/others"],
    "console_ask_about_token": ["/console/account/tokens/{own_script}/close"],
    "console_ask_export_activity": [
        "/console/activity/export",
        ("refused", "/console/activity/export?outcome=refused", 200),
        ("of scim", "/console/activity/export?action=scim", 200),
        ("of console", "/console/activity/export?action=console", 200),
    ],
    "console_export_activity": [
        "/console/activity/export/csv",
        ("jsonl, refused", "/console/activity/export/jsonl?outcome=refused", 200),
    ],
    "console_ask_export_people": ["/console/people/export", ("by name", "/console/people/export?q=amara", 200)],
    "console_export_people": ["/console/people/export/csv", ("by name", "/console/people/export/csv?q=amara", 200)],
    "console_ask_export_departures": ["/console/departures/export"],
    "console_export_departures": ["/console/departures/export/csv"],
    "console_ask_export_groups": ["/console/groups/export"],
    "console_export_groups": ["/console/groups/export/csv"],
}
"""The pages of a tenant's admins, by the names of their routes."""

_TENANT = "/console/operators/tenants/{slug}"

OPERATORS: Mapping[str, Sequence[_Form]] = {
    "console_fleet": [
        "/console/operators",
        ("page 2", "/console/operators?after={fleet_on}", 200),
        ("last page", "/console/operators?after={fleet_last}", 200),
        ("by name", "/console/operators?by=name", 200),
        ("searched", "/console/operators?q=number+77", 200),
        ("none found", "/console/operators?q=nobody", 200),
        ("of a plan", "/console/operators?plan=bench", 200),
        *(
            (f"{each}", f"/console/operators?show={each}", 200)
            for each in ("attention", "suspended", "paused", "lapsed", "token_ends", "failures")
        ),
    ],
    "console_switch": [
        ("leads on", "/console/operators/switch?q=small-77", 303),
        ("many found", "/console/operators/switch?q=small&section=pause", 200),
    ],
    "console_operator_tenant": [_TENANT, ("small", "/console/operators/tenants/small-1", 200)],
    "console_operator_preview_plan": [_TENANT + "/plan?plan=other"],
    "console_operator_ask_end_override": [_TENANT + "/overrides/seats/end"],
    "console_operator_ask_suspend": [_TENANT + "/suspend"],
    "console_operator_ask_resume": ["/console/operators/tenants/small-7/resume"],
    "console_operator_ask_pause": [_TENANT + "/pause?minutes=15"],
    "console_operator_ask_view": [_TENANT + "/view"],
    "console_queues": ["/console/operators/queues", ("page 2", "/console/operators/queues?cursor={alerts_on}", 200)],
    "console_ask_revive": ["/console/operators/queues/replay"],
    "console_operator_ask_replay": ["/console/operators/queues/{slug}/{failing}/replay"],
    "console_operator_ask_release": [_TENANT + "/alerts/{mass_change}/release"],
    "console_operator_ask_appoint": [_TENANT + "/admins/{person}"],
}
"""The pages of operators."""

STRANGERS: Mapping[str, Sequence[_Form]] = {
    "front_door": [("leads on", "/", 302)],
    "console_status": ["/status"],
    "console_verify": ["/verify"],
    "console_portal": ["/console/portal?link=rc_ses_example"],
    "console_contact": ["/console/contact?link=rc_ses_example"],
    "console_sign_in": ["/console/sign-in"],
    "console_password_page": ["/console/sign-in/password"],
    "console_operator_sign_in": ["/console/operators/sign-in"],
    "console_operator_invitation": ["/console/operators/invitation?link=rc_ops_example"],
    "console_nothing": [("nothing there", "/console/nothing/here", 404)],
}
"""The pages of those who are not signed in."""

NO_PAGES = {
    "console_asset": "a file that browsers keep",
    "console_operator_passkey": "opened once in an operator's life, by an invitation that it spends",
}
"""What is not measured, with the reason."""

FILES = frozenset(
    {
        "console_bundle",
        *(f"console_export_{each}" for each in ("activity", "people", "departures", "groups")),
    }
)

LIVE = frozenset({"console_setup_live"})

OF_LONG_AGO = frozenset({"console_ask_who"})
"""What is shown only to those who proved long ago who they are."""
