"""The console's pages."""

from typing import Any

from litestar import Router, get
from litestar.exceptions import NotFoundException
from litestar.middleware import DefineMiddleware
from litestar.middleware.csrf import CSRFMiddleware
from litestar.params import FromPath
from litestar.response import Redirect

from rollcall.access.console_sessions import NotFresh, NotSignedIn
from rollcall.access.operator_sessions import OperatorNotSignedIn
from rollcall.console import (
    account,
    activity,
    alerts,
    confirm,
    contacts,
    departures,
    errors,
    exports,
    groups,
    mail_sign_in,
    overview,
    own_passkeys,
    own_password,
    own_sessions,
    own_tokens,
    password_sign_in,
    people,
    people_acts,
    plan,
    portal,
    rehearsal,
    role_edit,
    roles,
    setup,
    sign_in,
    team,
    tokens,
    verify,
    ways_in,
    webhook_log,
    webhooks,
)
from rollcall.console.assets import asset
from rollcall.console.cookies import csrf_config
from rollcall.console.languages import InTheirLanguage, of_settings
from rollcall.console.operators import PAGES as FOR_OPERATORS
from rollcall.console.requests import LARGEST_BODY
from rollcall.console.status import status_page
from rollcall.console.visitors import BeforeForms, by_name
from rollcall.errors import KeyEnded, Refusal
from rollcall.settings import Settings


@get("/{rest:path}", name="console_nothing")
async def nothing(rest: FromPath[str]) -> None:
    """Whatever has no page, so that people who look for one are told so by a page."""
    raise NotFoundException(rest)


@get("/", name="front_door", include_in_schema=False)
async def front_door() -> Redirect:
    """Leads whoever types the bare address to the console."""
    return Redirect("/console/", status_code=302)


_WITH_FORMS = (
    overview.home,
    alerts.ask_to_release,
    alerts.release,
    portal.ask_to_enter,
    portal.enter_portal,
    portal.ask_contact_to_enter,
    portal.enter_contact,
    confirm.ask_who,
    confirm.confirm,
    confirm.begin_confirming,
    confirm.confirm_by_passkey,
    setup.setup_page,
    setup.make_token,
    setup.setup_live,
    setup.print_page,
    rehearsal.ask_to_rehearse,
    rehearsal.rehearse,
    tokens.tokens_page,
    tokens.issue_token,
    tokens.ask_to_rotate,
    tokens.rotate_token,
    tokens.ask_to_take_over,
    tokens.take_over,
    tokens.ask_to_revoke,
    tokens.revoke_token,
    people.people_page,
    people_acts.new_page,
    people_acts.add,
    people.person_page,
    people.ask_to_deactivate,
    people.deactivate,
    people.reactivate,
    people_acts.ask_about_role,
    people_acts.give_role,
    people_acts.ask_to_lift,
    people_acts.lift,
    people_acts.ask_to_link,
    people_acts.link,
    ways_in.ask_to_close,
    ways_in.close,
    groups.groups_page,
    groups.group_page,
    roles.roles_page,
    role_edit.edit_page,
    role_edit.edit_again,
    role_edit.preview,
    role_edit.map_name,
    role_edit.apply,
    activity.activity_page,
    activity.request_page,
    departures.departures_page,
    departures.bundle_file,
    departures.receipt_file,
    webhooks.webhooks_page,
    webhooks.new_page,
    webhooks.create,
    webhooks.edit_page,
    webhooks.edit,
    webhooks.ask_to_rotate,
    webhooks.rotate,
    webhooks.test,
    webhooks.ask_to_pause,
    webhooks.pause,
    webhooks.resume,
    webhooks.ask_to_delete,
    webhooks.delete,
    webhook_log.webhook_page,
    webhook_log.attempt_page,
    webhook_log.replay,
    webhook_log.ask_to_replay,
    webhook_log.replay_all,
    plan.plan_page,
    team.team_page,
    team.find_appointed,
    team.ask_to_appoint,
    team.appoint,
    team.find_deputy,
    team.ask_about_deputy,
    team.name_deputy,
    team.ask_for_no_deputy,
    team.dismiss_deputy,
    contacts.issue,
    contacts.ask_to_revoke,
    contacts.revoke,
    sign_in.sign_in,
    sign_in.enter_code,
    sign_in.begin_sign_in,
    sign_in.finish_sign_in,
    sign_in.sign_out,
    mail_sign_in.ask_for_code,
    mail_sign_in.enter_mailed_code,
    mail_sign_in.choose,
    password_sign_in.password_page,
    password_sign_in.enter_password,
    account.account_page,
    own_password.own_password_page,
    own_password.set_password,
    own_password.ask_about_password,
    own_password.remove_password,
    own_passkeys.begin_passkey,
    own_passkeys.add_passkey,
    own_passkeys.ask_about_passkey,
    own_passkeys.remove_passkey,
    own_sessions.ask_about_session,
    own_sessions.close_session,
    own_sessions.ask_about_others,
    own_sessions.close_others,
    own_tokens.ask_about_token,
    own_tokens.close_token,
)
"""The pages with forms, and those that look at who is signed in."""


_AS_PAGES: dict[int | type[Exception], Any] = {
    NotSignedIn: errors.answer_not_signed_in,
    NotFresh: errors.answer_not_fresh,
    OperatorNotSignedIn: errors.answer_no_operator,
    KeyEnded: errors.answer_ended,
    Refusal: errors.answer_refusal,
    Exception: errors.answer_exception,
}


def make_router(settings: Settings) -> Router:
    """The pages of the console; those with forms are held against a cookie under a key of this installation's."""
    with_forms = Router(
        "/",
        route_handlers=[*_WITH_FORMS, *exports.HANDLERS, *FOR_OPERATORS],
        middleware=[BeforeForms(), DefineMiddleware(CSRFMiddleware, config=csrf_config(settings))],
        before_request=by_name,
        request_max_body_size=LARGEST_BODY,
    )
    spoken = InTheirLanguage(of_settings(settings))
    console = Router(
        "/console",
        route_handlers=[asset, nothing, with_forms],
        exception_handlers=_AS_PAGES,
        include_in_schema=False,
    )
    public = Router("/", route_handlers=[verify.verify_page, verify.verify_here], exception_handlers=_AS_PAGES)
    return Router("/", route_handlers=[front_door, status_page, public, console], middleware=[spoken])
