"""Set-up: the tenant's own values by the provider's names, a token made in place, and a list that ticks itself."""

import html
import re

import pytest
from litestar import Litestar

from console.conftest import Browser, signed_in
from console.test_portal import a_link, entered
from factories import DART_RULE, Callers, Tenant, deactivation
from rollcall.console.setup_guides import GUIDES, Value


def ticked(page: str) -> dict[str, str]:
    """How each line of the list stands."""
    return {
        title: state for state, title in re.findall(r'<li class="(\w+)">.*?<strong>(.+?)</strong>', page, re.DOTALL)
    }


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.key)
def test_each_guide_says_where_both_values_go(guide: object) -> None:
    """A guide names a field for the address and one for the token, and marks no name without closing the mark."""
    assert isinstance(guide, type(GUIDES[0]))
    pasted = [value for step in guide.steps for value, _ in step.paste]
    assert pasted == [Value.ADDRESS, Value.TOKEN]
    for step in guide.steps:
        assert all(line.count("**") % 2 == 0 for line in (*step.before, *step.after))


async def test_the_providers_own_names(browser: Browser, acme: Tenant, console_app: Litestar) -> None:
    """The page has this installation's address beside what the provider calls its field."""
    await signed_in(browser, acme, acme.admin)
    wanted = {
        "okta": ("SCIM connector base URL", "Unique identifier field for users", "HTTP Header", "Authorization"),
        "entra": ("Tenant URL", "Secret Token", "Test Connection"),
        "onelogin": ("SCIM Base URL", "SCIM Bearer Token"),
        "jumpcloud": ("Base URL", "Token Key"),
        "google": ("SCIM endpoint",),
        "other": ("Bearer token",),
    }
    assert set(
        re.findall(r'href="/console/setup\?provider=(\w+)"', (await browser.open("/console/setup")).text)
    ) == set(wanted)
    for provider, names in wanted.items():
        page = html.unescape((await browser.open("/console/setup", provider=provider)).text)
        assert console_app.state.context.base_url in page
        for name in names:
            assert name in page, (provider, name)


async def test_a_token_made_in_place(browser: Browser, acme: Tenant) -> None:
    """One click issues a token that works, is its maker's, is shown once and stands on no other page."""
    assert (await entered(browser, await a_link(acme, "setup"))).headers["location"] == "/console/setup"
    await browser.open("/console/setup", provider="entra")

    page = await browser.send("/console/setup/token", provider="entra")

    (token,) = re.findall(r"rc_scim_\w+", page.text)
    assert page.headers["cache-control"] == "no-store"
    async with acme.callers.bearer(token, path="/scim/v2") as provider:
        assert (await provider.get("/Users")).status_code == 200
    (issued,) = [each for each in await acme.audit(action="token.issued") if each["actor_kind"] == "person"]
    assert (issued["person_id"], issued["payload"]["label"]) == (acme.admin["id"], "Microsoft Entra ID")
    assert "rc_scim_" not in (await browser.open("/console/setup", provider="entra")).text


async def test_the_list_ticks_itself(browser: Browser, acme: Tenant) -> None:
    """Call seen, authenticated, looked up, created, role and deactivated are ticked as the provider does them."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/setup", provider="okta")
    token = re.findall(r"rc_scim_\w+", (await browser.send("/console/setup/token", provider="okta")).text)[0]

    async def now() -> set[str]:
        await acme.callers.app.state.context.batched_entries.flush()
        page = (await browser.open("/console/setup/live")).text
        assert "<html" not in page
        return {title for title, state in ticked(page).items() if state == "done"}

    await acme.callers.operator.put(f"{acme.v1}/role-rule", json=DART_RULE)
    assert await now() == set()
    async with acme.callers.bearer(token, path="/scim/v2") as okta:
        await okta.get("/Users", params={"filter": 'userName eq "nobody@acme.test"'})
        assert await now() == {"First call seen", "Token accepted", "Looked somebody up"}
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "noor@acme.test"}
        made = await okta.post("/Users", json=body | {"roles": [{"value": "dart-admins"}]})
        assert made.status_code == 201, made.text
        done = await now()
        assert done >= {"Test person created", "Role read"}
        assert "noor@acme.test is Admin" in browser.page.text
        await okta.patch(f"/Users/{made.json()['id']}", json=deactivation())
        assert "Person deactivated" in await now()


async def test_what_was_refused_is_said(browser: Browser, acme: Tenant) -> None:
    """A call that is refused stands at the next thing that is waited for, in the words of the refusal."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/setup", provider="okta")
    token = re.findall(r"rc_scim_\w+", (await browser.send("/console/setup/token", provider="okta")).text)[0]
    async with acme.callers.bearer(token, path="/scim/v2") as okta:
        assert (await okta.post("/Users", json={"schemas": [], "userName": ""})).status_code == 400
    await acme.callers.app.state.context.batched_entries.flush()

    page = (await browser.open("/console/setup/live")).text

    assert "failed" in ticked(page).values()
    assert "userName" in page


async def test_tokens_by_ops(browser: Browser, acme: Tenant) -> None:
    """Where ops issue the tokens there is no button, and no way round it."""
    await acme.callers.operator.patch(acme.v1, json={"token_issuing": "ops"})
    await signed_in(browser, acme, acme.admin)
    page = await browser.open("/console/setup", provider="okta")
    assert "/console/setup/token" not in page.text
    assert "Your token comes from the support" in page.text

    assert (await browser.send("/console/setup/token", provider="okta")).status_code == 403


async def test_a_plan_without_scim(browser: Browser, acme: Tenant, callers: Callers) -> None:
    """On a plan without SCIM the page says so, and what it would bring."""
    made = await callers.operator.post("/v1/tenants", json={"slug": f"free-{acme.slug}", "name": "F", "plan": "free"})
    assert made.status_code == 201, made.text
    free = made.json()["slug"]
    person = await callers.operator.post(f"/v1/tenants/{free}/people", json={"user_name": "f@f.test", "role": "admin"})
    body = {"intent": "setup", "person": person.json()["id"]}
    link = (await callers.product.post(f"/v1/tenants/{free}/portal-links", json=body)).json()["url"].partition("=")[2]
    assert (await entered(browser, link)).status_code == 303

    assert "Your plan does not include SCIM" in (await browser.open("/console/setup")).text


async def test_who_is_no_admin(browser: Browser, acme: Tenant) -> None:
    """Somebody who is not an admin sees their own account and none of the company's pages."""
    await signed_in(browser, acme, await acme.person())
    assert (await browser.open("/console/")).headers["location"] == "/console/account"
    page = await browser.open("/console/setup")
    assert (page.status_code, "for your company" in page.text) == (403, True)
    assert (await browser.send("/console/setup/token", provider="okta")).status_code == 403
    assert "/console/setup" not in (await browser.open("/console/account")).text


async def test_demoted_in_the_middle(browser: Browser, acme: Tenant) -> None:
    """Who stops being an admin while the page is open makes no token any more."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/setup", provider="okta")
    await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/demote")

    assert (await browser.send("/console/setup/token", provider="okta")).status_code == 403
    assert [each for each in await acme.audit(action="token.issued") if each["actor_kind"] == "person"] == []


async def test_printed_for_a_ticket(browser: Browser, acme: Tenant) -> None:
    """Each provider's steps are printed with this tenant's values and names of roles, and without any secret."""
    await signed_in(browser, acme, acme.admin)
    assert "/console/setup/okta/print" in (await browser.open("/console/setup", provider="okta")).text
    for guide in GUIDES:
        page = (await browser.open(f"/console/setup/{guide.key}/print")).text
        assert f"Steps at {guide.name}" in page
        assert "/scim/v2</code>" in page
        assert "dart-guests" in page
        assert "The way back" in page
        assert "rc_scim_" not in page
    assert (await browser.open("/console/setup/nobody/print")).status_code == 404
