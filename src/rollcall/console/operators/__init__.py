"""Pages for operators: the fleet of tenants, one tenant, and what is done to it, by the rights of their role."""

from rollcall.console.operators import fleet, letting_in, plan, releasing, sign_in, standing, tenant

PAGES = (
    sign_in.sign_in,
    sign_in.begin_sign_in,
    sign_in.finish_sign_in,
    sign_in.sign_out,
    sign_in.ask_to_enter,
    sign_in.enter,
    sign_in.passkey_page,
    sign_in.begin_passkey,
    sign_in.add_passkey,
    fleet.fleet_page,
    tenant.tenant_page,
    plan.preview_plan,
    plan.change_plan,
    plan.set_override,
    plan.ask_to_end,
    plan.end_override,
    standing.ask_to_suspend,
    standing.suspend,
    standing.ask_to_resume,
    standing.resume,
    standing.ask_to_pause,
    standing.pause,
    standing.unpause,
    releasing.ask_to_release,
    releasing.release,
    letting_in.issue_token,
    letting_in.make_link,
    letting_in.find_admin,
    letting_in.ask_to_appoint,
    letting_in.appoint,
)
"""All of them; they stand among the pages with forms."""
