"""Webhooks in the console: registered with a secret shown once, looked at, tried, sent again, paused and deleted."""

import json
import re
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy import text

from console.conftest import Browser, signed_in
from console.test_portal import a_link, entered
from factories import ORIGIN, Tenant, a_tenant
from rollcall.console.webhook_forms import STATES
from rollcall.console.webhook_topics import MEANINGS, announced
from rollcall.events import deliveries
from rollcall.events.addresses import AddressRules
from rollcall.events.deliveries import DeliveryState
from rollcall.tenancy import plans
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import SYSTEM, open_fleet

URL = "https://hooks.example.com/rollcall?key=abc"

ENDED = text("UPDATE deliveries SET state = 'dead', ended_at = clock_timestamp() WHERE destination_tenant_id = :tenant")


async def resolver(host: str, port: int) -> list[str]:
    """A name server that knows one public address for every name."""
    return ["10.0.0.1" if host.startswith("private") else "93.184.216.34"]


@pytest.fixture(autouse=True)
def _known(console_app: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of destinations are not looked up outside."""
    monkeypatch.setattr(console_app.state, "address_rules", AddressRules(resolve=resolver))


async def registered(browser: Browser, **fields: Any) -> str:
    """Register a destination by the form; returns its page's address."""
    await browser.open("/console/webhooks/new")
    shown = await browser.send(
        "/console/webhooks/new", **{"label": "Warehouse", "url": URL, "kind": "webhook", **fields}
    )
    assert shown.status_code == 200, shown.text
    found = re.search(r'href="(/console/webhooks/[0-9a-f-]+)">I have copied it', shown.text)
    assert found is not None, shown.text
    assert len(re.findall(r"whsec_[\w+/=]+", shown.text)) == 1
    return found[1]


async def test_registering(browser: Browser, acme: Tenant) -> None:
    """A destination is registered with topics, and its secret is shown once."""
    await signed_in(browser, acme, acme.admin)
    assert "Nothing hears from here yet" in (await browser.open("/console/webhooks")).text

    address = await registered(browser, topics=["user.deactivated", "user.provisioned"])

    page = (await browser.open(address)).text
    assert "whsec_" not in page
    assert "user.provisioned" in page
    assert "Warehouse" in (await browser.open("/console/webhooks")).text
    (row,) = (await acme.callers.operator.get(f"{acme.v1}/destinations")).json()["data"]
    assert row["topics"] == ["user.deactivated", "user.provisioned"]


async def test_what_is_wrong_is_at_its_field(browser: Browser, acme: Tenant) -> None:
    """A name or an address that can't be is said at its field, with what was typed still there; nothing is made."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/webhooks/new")
    for fields, field in (
        ({"label": "", "url": URL}, "label"),
        ({"label": "x", "url": ""}, "url"),
        ({"label": "x", "url": "http://hooks.example.com/"}, "url"),
        ({"label": "x", "url": "https://private.example.com/"}, "url"),
        ({"label": "x", "url": URL, "kind": "logout"}, "audience"),
    ):
        wrong = await browser.send("/console/webhooks/new", **{"topics": "user.deactivated", **fields})
        assert wrong.status_code == 400, fields
        assert f'aria-describedby="{field}-wrong' in wrong.text, fields
        assert 'role="alert"' in wrong.text
        assert 'value="user.deactivated" checked' in wrong.text
    assert (await acme.callers.operator.get(f"{acme.v1}/destinations")).json()["data"] == []


async def test_a_test_and_its_attempt(browser: Browser, acme: Tenant) -> None:
    """A test is sent, stands in the log, and shows its body; what waits can't be sent again."""
    await signed_in(browser, acme, acme.admin)
    address = await registered(browser)
    await browser.open(address)

    page = await browser.follow(await browser.send(f"{address}/test"))

    assert "A test is on its way" in page.text
    assert "destination.tested" in page.text
    found = re.search(rf'href="({address}/deliveries/[0-9a-f-]+)"', page.text)
    assert found is not None
    one = await browser.open(found[1])
    assert "&#34;type&#34;: &#34;destination.tested&#34;" in one.text
    assert "Send again" not in one.text
    assert (await browser.send(f"{found[1]}/replay")).status_code == 409


async def test_sending_again(browser: Browser, acme: Tenant) -> None:
    """What ended is sent once more: one, what was given up, or everything of some hours; the page says how many."""
    await signed_in(browser, acme, acme.admin)
    address = await registered(browser)
    await browser.open(address)
    for _ in range(3):
        await browser.send(f"{address}/test")
    await browser.send(f"{address}/pause")
    async with acme.work() as work:
        await work.db.execute(ENDED, {"tenant": acme.id})
    await browser.send(f"{address}/resume")
    page = (await browser.open(address)).text
    assert "Send the 3 given up" in page
    asked = await browser.open(f"{address}/replay")
    assert "sends 3 events once more" in asked.text

    found = re.search(rf'href="({address}/deliveries/[0-9a-f-]+)"', page)
    assert found is not None
    await browser.open(found[1])
    assert "It is sent once more" in (await browser.follow(await browser.send(f"{found[1]}/replay"))).text
    again = await browser.follow(await browser.send(f"{address}/replay", hours="24"))
    assert "2 events will be sent once more" in again.text
    none = await browser.follow(await browser.send(f"{address}/replay"))
    assert "0 events will be sent once more" in none.text


async def test_sending_again_since(browser: Browser, acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment may be typed; where there is more than is sent at once, a button sends the next, and nothing twice."""
    monkeypatch.setattr(deliveries, "REPLAY_AT_MOST", 2)
    await signed_in(browser, acme, acme.admin)
    address = await registered(browser)
    await browser.open(address)
    for _ in range(3):
        await browser.send(f"{address}/test")
    async with acme.work() as work:
        await work.db.execute(ENDED, {"tenant": acme.id})
    assert "no date with a time" in (await browser.send(f"{address}/replay", since="soon")).text

    page = await browser.follow(await browser.send(f"{address}/replay", since="2026-01-01T10:00"))

    assert "2 events will be sent once more" in page.text
    hidden = dict(re.findall(r'<input type="hidden" name="(since|after)" value="([^"]+)">', page.text))
    rest = await browser.follow(await browser.send(f"{address}/replay", **hidden))
    assert "1 event will be sent once more" in rest.text
    assert "Send the next" not in rest.text


async def test_pausing_and_deleting(browser: Browser, acme: Tenant) -> None:
    """Pausing says what is cancelled in numbers; a paused one is resumed, and one that is deleted is gone."""
    await signed_in(browser, acme, acme.admin)
    address = await registered(browser)
    await browser.open(address)
    await browser.send(f"{address}/test")
    assert "1 event waiting for it now is cancelled" in (await browser.open(f"{address}/pause")).text

    paused = await browser.follow(await browser.send(f"{address}/pause"))
    assert "Paused" in paused.text
    assert (await browser.send(f"{address}/test")).status_code == 409
    assert "It is called again" in (await browser.follow(await browser.send(f"{address}/resume"))).text

    assert "It can&#39;t be brought back" in (await browser.open(f"{address}/delete")).text
    gone = await browser.follow(await browser.send(f"{address}/delete"))
    assert "Nothing hears from here yet" in gone.text
    assert (await browser.open(address)).status_code == 404


async def test_editing(browser: Browser, acme: Tenant) -> None:
    """Address, name and topics are changed; a wrong one changes none of them."""
    await signed_in(browser, acme, acme.admin)
    address = await registered(browser)
    assert URL in (await browser.open(f"{address}/edit")).text
    wrong = await browser.send(f"{address}/edit", label="Other", url="https://private.example.com/")
    assert wrong.status_code == 400
    assert "Warehouse" in (await browser.open(address)).text
    done = await browser.send(f"{address}/edit", label="Other", url=URL, topics="group.changed")
    assert "It is saved" in (await browser.follow(done)).text
    (row,) = (await acme.callers.operator.get(f"{acme.v1}/destinations")).json()["data"]
    assert (row["label"], row["topics"]) == ("Other", ["group.changed"])


async def test_a_new_secret(browser: Browser, acme: Tenant) -> None:
    """A new secret is shown once, beside the old one for as long as was chosen."""
    await signed_in(browser, acme, acme.admin)
    address = await registered(browser)
    await browser.open(f"{address}/secret")
    shown = await browser.send(f"{address}/secret", overlap="3600")
    assert "whsec_" in shown.text
    assert "it ends in 1 hour" in shown.text
    page = (await browser.open(address)).text
    assert "whsec_" not in page
    assert "2, until the old one ends" in page


async def test_a_plan_without_events(browser: Browser, acme: Tenant) -> None:
    """Without events in the plan only who is out is offered; more is refused, in words."""
    async with open_fleet(acme.callers.database, SYSTEM, ORIGIN) as fleet:
        await plans.define(fleet, "bare", PlanTerms(name="Bare", rate_per_second=0))
    bare = await a_tenant(acme.callers, plan="bare")
    await signed_in(browser, bare, bare.admin)
    page = (await browser.open("/console/webhooks/new")).text
    assert 'value="user.deactivated"' in page
    assert 'value="group.changed"' not in page
    refused = await browser.send("/console/webhooks/new", label="x", url=URL)
    assert refused.status_code == 403
    assert "needs the feature “events”" in refused.text
    await registered(browser, topics="user.deactivated")


async def test_of_another_tenant(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """Another tenant's destination is not found, whatever is asked of it; nor is any by a portal link."""
    made = await other.callers.operator.post(
        f"{other.v1}/destinations", json={"label": "theirs", "url": "https://127.0.0.1/", "topics": []}
    )
    assert made.status_code == 400
    await signed_in(browser, acme, acme.admin)
    address = await registered(browser)
    which = address.rsplit("/", 1)[1]
    await signed_in(browser, other, other.admin)
    await browser.open("/console/webhooks")
    for path in ("", "/edit", "/secret", "/pause", "/delete", "/replay"):
        assert (await browser.open(f"/console/webhooks/{which}{path}")).status_code == 404, path
    for path in ("/edit", "/secret", "/pause", "/delete", "/replay", "/test", "/resume"):
        sent = await browser.send(f"/console/webhooks/{which}{path}", label="x", url=URL)
        assert sent.status_code == 404, path
    await entered(browser, await a_link(other, "setup"))
    assert (await browser.open("/console/webhooks")).status_code == 403


def test_every_topic_has_a_meaning() -> None:
    """Whatever is announced is offered with what it means, and each state of a delivery has a word."""
    assert {topic for about in MEANINGS.values() for topic in about} == set(announced())
    assert set(STATES) == set(DeliveryState)


async def test_what_a_form_is_refused_is_in_the_audit(browser: Browser, acme: Tenant) -> None:
    """What is refused and said at its field stands in the audit all the same, with its status and why, once."""
    await signed_in(browser, acme, acme.admin)
    edit = f"{await registered(browser)}/edit"
    rule = (await acme.callers.operator.get(f"{acme.v1}/role-rule")).json()["rule"]
    ada, private = acme.admin["user_name"], "https://private.example.com/"
    refused = {
        "console.create": ("/console/webhooks/new", 400, {"label": "x", "url": private}),
        "console.edit": (edit, 400, {"label": "x", "url": private}),
        "console.add": ("/console/people/new", 409, {"user_name": ada, "role": "guest"}),
        "console.preview": ("/console/roles/preview", 400, {"prefix": "-", "default": "member"}),
        "console.apply": (
            "/console/roles/apply",
            409,
            {"rule": json.dumps({**rule, "default": "guest"}), "shown": "else"},
        ),
    }
    for action, (address, status, fields) in refused.items():
        assert (await browser.send(address, **fields)).status_code == status, action

    entries = [each for each in await acme.audit() if each["action"] in refused]

    assert {each["action"]: each["status"] for each in entries} == {name: said[1] for name, said in refused.items()}
    assert len(entries) == len(refused)
    assert all(each["outcome"] == "refused" and each["detail"] for each in entries)
    assert {each["actor_id"] for each in entries} != {None}
