"""From one tenant's page to the same of another one, for operators."""

from collections.abc import Callable

from console.conftest import Browser
from console.operating import FLEET, OperatorAtWork, at_work
from factories import Callers, Tenant, a_tenant
from rollcall.tenancy.operators import OperatorRole


async def test_to_the_same_section(callers: Callers, browser: Browser, acme: Tenant) -> None:
    """What is typed on a tenant's page leads to the same section of the tenant that it means, without any script."""
    ops = await at_work(callers.database, browser, OperatorRole.OPS)
    other = await a_tenant(callers)
    page = await ops.browser.open(f"{FLEET}/tenants/{acme.slug}/pause")
    assert 'action="/console/operators/switch"' in page.text
    assert '<input type="hidden" name="section" value="pause">' in page.text
    led = await ops.browser.open(f"{FLEET}/switch?q={other.slug}&section=pause")
    assert led.status_code == 303
    assert led.headers["location"] == f"{FLEET}/tenants/{other.slug}/pause"
    elsewhere = await ops.browser.open(f"{FLEET}/switch?q={other.slug}&section=//evil.example")
    assert elsewhere.headers["location"] == f"{FLEET}/tenants/{other.slug}"


async def test_nobody_and_several(callers: Callers, browser: Browser, acme: Tenant) -> None:
    """Where several tenants fit they are shown, each with its own address; where none does it is said."""
    ops = await at_work(callers.database, browser, OperatorRole.SUPPORT)
    several = await ops.browser.open(f"{FLEET}/switch?q=&section=view")
    assert several.status_code == 200
    assert "/view" in several.text
    none = await ops.browser.open(f"{FLEET}/switch?q=nobody-is-called-so")
    assert "No tenant fits" in none.text


async def test_those_looked_at_before(
    callers: Callers, browser: Browser, browsers: Callable[[], Browser], acme: Tenant
) -> None:
    """The tenants an operator looked at last are offered on the next one's page, and to nobody else."""
    ops = await at_work(callers.database, browser, OperatorRole.OPS)
    other = await a_tenant(callers)
    await ops.browser.open(f"{FLEET}/tenants/{acme.slug}")
    page = (await ops.browser.open(f"{FLEET}/tenants/{other.slug}")).text
    assert f'href="{FLEET}/tenants/{acme.slug}">{acme.slug}</a>' in page
    assert f'href="{FLEET}/tenants/{other.slug}">{other.slug}</a>' not in page
    section = (await ops.browser.open(f"{FLEET}/tenants/{other.slug}/suspend")).text
    assert f'href="{FLEET}/tenants/{acme.slug}/suspend">{acme.slug}</a>' in section
    somebody: OperatorAtWork = await at_work(callers.database, browsers(), OperatorRole.OPS)
    theirs = next(name for name in ops.browser.http.cookies if name.endswith("rollcall-tenants"))
    somebody.browser.http.cookies.set(theirs, ops.browser.http.cookies[theirs])
    assert acme.slug not in (await somebody.browser.open(f"{FLEET}/tenants/{other.slug}")).text


async def test_no_tenants_page(callers: Callers, browser: Browser, acme: Tenant) -> None:
    """Elsewhere there is no switch: the fleet has a search of its own, and strangers are asked who they are."""
    led = await browser.open(f"{FLEET}/switch?q={acme.slug}")
    assert led.status_code in {302, 303, 307, 403}
    ops = await at_work(callers.database, browser, OperatorRole.OPS)
    assert "Another tenant" not in (await ops.browser.open(FLEET)).text
