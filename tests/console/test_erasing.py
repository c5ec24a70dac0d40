"""An admin erases somebody who has left, from their page."""

from uuid import UUID

from console.conftest import Browser, signed_in
from factories import Tenant, deactivation
from rollcall.db import Connection


async def test_erasing(browser: Browser, acme: Tenant, owner: Connection) -> None:
    """The page says in numbers what goes and what stays; the userName has to be typed; then nothing names them."""
    maria = await acme.person("maria@acme.test", displayName="Maria Quintana")
    await acme.external(maria)
    await signed_in(browser, acme, acme.admin)
    page = f"/console/people/{maria['id']}"
    assert f'href="{page}/erase"' not in (await browser.open(page)).text
    assert (await browser.open(f"{page}/erase")).status_code == 409
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    await owner.execute(  # what the relay and the worker do, with nobody to tell
        "UPDATE outbox SET fanned_out_at = now(), done_at = now() WHERE account_id = $1", UUID(maria["id"])
    )
    assert f'href="{page}/erase"' in (await browser.open(page)).text
    asked = await browser.open(f"{page}/erase")
    assert "deletes what names 1 person" in asked.text
    wrong = await browser.send(f"{page}/erase", typed="noor@acme.test")
    assert wrong.status_code == 400
    assert "Quintana" in (await browser.open(page)).text
    done = await browser.follow(await browser.send(f"{page}/erase", typed="maria@acme.test"))
    assert "They are erased" in done.text
    assert "maria@acme.test" not in done.text
    assert "Quintana" not in done.text
    assert (await acme.scim.get(f"/Users/{maria['id']}")).status_code == 404
