"""A billing system of one's own: what it says is believed if it is signed, and brought to the tenant it is about."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from billing.conftest import OLD_SECRET, SECRET, OwnBilling, has, signed
from factories import ORIGIN, Callers, Tenant, a_tenant
from rollcall.api.requests import LARGEST_BODY
from rollcall.billing import asking
from rollcall.billing.provider import Hint, Provider
from rollcall.db import Connection
from rollcall.tenancy import customers
from rollcall.tenancy.customers import OWN
from rollcall.tenancy.standing import Standing
from rollcall.work import SYSTEM, open_fleet

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ANOTHER_SECRET = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCwgbm90IG91cnM="


def ago(time: timedelta) -> datetime:
    """So long before now."""
    return datetime.now(UTC) - time


async def said(own_billing: OwnBilling, **facts: Any) -> None:
    """Have something said, and brought to the tenant."""
    answer = await own_billing.say(**facts)
    assert answer.status_code == 200, answer.text
    await own_billing.settle()


@pytest.fixture
async def tenant(paid_callers: Callers) -> Tenant:
    """A tenant that has nothing yet."""
    return await a_tenant(paid_callers, plan="free")


async def test_a_plan_is_paid_for(tenant: Tenant, own_billing: OwnBilling) -> None:
    """Who pays for a plan has it from the next call on, and falls back when it ends: the leaver is still cut off."""
    assert await has(tenant) == ("free", "never")
    answer = await own_billing.say(tenant=tenant.slug, plan="business", seats=20)
    assert answer.json() == {"received": True, "new": True}
    await own_billing.settle()
    assert await has(tenant) == ("business", "active")
    maria = await tenant.person()
    await said(own_billing, tenant=tenant.slug, plan="business", ends_at=ago(HOUR).isoformat())
    assert await has(tenant) == ("free", "offboarding_only")
    assert (await tenant.scim.delete(f"/Users/{maria['id']}")).status_code == 204
    await said(own_billing, tenant=tenant.id, plan="business")
    assert await has(tenant) == ("business", "active")


async def test_features_seats_and_a_grace(tenant: Tenant, own_billing: OwnBilling) -> None:
    """Features and seats stand beside the plan; with a grace everything works until it is over."""
    until = (datetime.now(UTC) + DAY).isoformat()
    await said(own_billing, tenant=tenant.slug, features=["scim"], seats=2)
    assert await has(tenant) == ("free", "active")
    await tenant.person()
    assert (await tenant.scim.post("/Users", json={"userName": "third"})).status_code == 403
    facts: dict[str, Any] = {"features": ["scim"], "seats": 3, "ends_at": ago(HOUR).isoformat(), "grace_until": until}
    await said(own_billing, tenant=tenant.slug, **facts)
    assert await has(tenant) == ("free", "grace")
    assert (await tenant.scim.post("/Users", json={"userName": "third"})).status_code == 201
    assert (await tenant.scim.post("/Users", json={"userName": "fourth"})).status_code == 403


async def test_nothing_is_paid_for(tenant: Tenant, own_billing: OwnBilling) -> None:
    """Who is said to have nothing any more lapses there and then; who never had anything stays as they were."""
    await said(own_billing, tenant=tenant.slug)
    assert await has(tenant) == ("free", "never")
    await said(own_billing, tenant=tenant.slug, plan="business")
    await said(own_billing, tenant=tenant.slug)
    assert await has(tenant) == ("free", "offboarding_only")


async def test_the_later_counts(tenant: Tenant, own_billing: OwnBilling) -> None:
    """Of two statements the one that was so later counts, whichever comes last; a repeated one changes nothing."""
    late, early = ago(HOUR).isoformat(), ago(2 * HOUR).isoformat()
    await said(own_billing, tenant=tenant.slug, plan="enterprise", as_of=late)
    await said(own_billing, tenant=tenant.slug, plan="business", as_of=early, identifier=f"early {tenant.slug}")
    assert await has(tenant) == ("enterprise", "active")
    again = await own_billing.say(tenant=tenant.slug, plan="free", identifier=f"early {tenant.slug}")
    assert again.json() == {"received": True, "new": False}
    await own_billing.settle()
    assert await has(tenant) == ("enterprise", "active")


async def test_a_customer_that_is_parked(paid_callers: Callers, own_billing: OwnBilling) -> None:
    """What is said of a customer whom no tenant is stays, and is the tenant's that is given the id."""
    await said(own_billing, customer="account 17", features=["scim"])
    tenant = await a_tenant(paid_callers, plan="free")
    answer = await paid_callers.operator.patch(tenant.v1, json={"customer": "account 17"})
    assert answer.json()["lapse"]["state"] == "active", answer.text


async def test_two_secrets(tenant: Tenant, own_billing: OwnBilling) -> None:
    """While a secret is being replaced the old one is good as well, also beside a signature that is none."""
    headers, body = signed({"tenant": tenant.slug, "plan": "business"}, secret=OLD_SECRET)
    headers["webhook-signature"] = f"v1a,c2hh v1,AAAA {headers['webhook-signature']}"
    assert (await own_billing.post(headers, body)).status_code == 200


@pytest.mark.parametrize("away", [-HOUR, HOUR], ids=["stale", "future"])
async def test_signed_at_another_time(tenant: Tenant, own_billing: OwnBilling, away: timedelta) -> None:
    """What was signed long ago, or in the future, is refused."""
    answer = await own_billing.say(tenant=tenant.slug, plan="business", at=datetime.now(UTC) + away)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_refused"), answer.text
    assert "clocks of both sides" in answer.json()["detail"]


async def test_forged(tenant: Tenant, own_billing: OwnBilling, owner: Connection) -> None:
    """Another secret, another body, another id, another moment, no signature, nonsense: refused, and not stored."""
    stored = "SELECT count(*) FROM billing_events"
    before = await owner.fetchval(stored)
    headers, body = signed({"tenant": tenant.slug, "plan": "business"})
    moment = str(int(headers["webhook-timestamp"]) + 1)
    nothing: dict[str, str] = {}
    for forged in (
        signed({"tenant": tenant.slug, "plan": "business"}, secret=ANOTHER_SECRET),
        (headers, body + b" "),
        (headers, b"\xff" + body),
        (headers | {"webhook-id": "another"}, body),
        (headers | {"webhook-timestamp": moment}, body),
        (headers | {"webhook-timestamp": "1e9"}, body),
        (headers | {"webhook-timestamp": "9" * 30}, body),
        (headers | {"webhook-signature": "v1,"}, body),
        (headers | {"webhook-signature": "nonsense"}, body),
        (nothing, body),
    ):
        answer = await own_billing.post(*forged)
        assert (answer.status_code, answer.json()["code"]) == (400, "signature_refused"), answer.text
    assert await owner.fetchval(stored) == before


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "names nobody": ({"plan": "business"}, "name the customer or the tenant"),
    "names two": ({"customer": "a", "tenant": "b"}, "name the customer or the tenant"),
    "an unknown field": ({"customer": "a", "plann": "business"}, "plann"),
    "seats that are none": ({"customer": "a", "seats": 0}, "seats"),
    "seats in words": ({"customer": "a", "seats": "ten"}, "seats"),
    "a moment without a zone": ({"customer": "a", "ends_at": "2026-11-30T12:00:00"}, "ends_at"),
    "so in the future": ({"customer": "a", "as_of": "2999-01-01T00:00:00Z"}, "as_of"),
    "a NUL": ({"customer": "a\x00"}, "customer"),
    "no plan of ours": ({"customer": "a", "plan": "golden"}, "there is no plan “golden”"),
}


@pytest.mark.parametrize(("body", "about"), WRONG.values(), ids=WRONG)
async def test_what_can_not_be_read(own_billing: OwnBilling, body: dict[str, Any], about: str) -> None:
    """What is signed and wrong is refused, and the answer names what is."""
    answer = await own_billing.post(*signed(body))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), answer.text
    assert about in answer.json()["detail"]


async def test_a_tenant_that_is_none(own_billing: OwnBilling) -> None:
    """A tenant that nobody has is not found; what was said is not kept, so saying it again later works."""
    facts: dict[str, Any] = {"identifier": "msg_nobody", "tenant": "nobody-there", "plan": "business"}
    assert (await own_billing.say(**facts)).status_code == 404
    assert (await own_billing.say(**facts)).status_code == 404


async def test_another_provider_speaks_for_it(own_billing: OwnBilling, owner: Connection) -> None:
    """A customer that one provider has answered for is that provider's: of two nobody could say who is right."""
    await said(own_billing, customer="two of them", plan="business")
    await owner.execute("UPDATE billing_customers SET provider = 'stripe' WHERE customer = 'two of them'")
    answer = await own_billing.say(customer="two of them", plan="business")
    assert (answer.status_code, answer.json()["code"]) == (409, "others_customer"), answer.text


async def test_too_large(own_billing: OwnBilling) -> None:
    """A body that is too long is refused before anybody looks at its signature."""
    answer = await own_billing.post({}, b" " * (LARGEST_BODY + 1))
    assert answer.status_code == 413, answer.text


@pytest.mark.parametrize("name", ["stripe", "entitlements"])
async def test_closed(http: httpx.AsyncClient, name: str) -> None:
    """Without a secret there is no such address."""
    headers, body = signed({"tenant": "any"})
    answer = await http.post(f"/billing/{name}", headers=headers, content=body)
    nowhere = await http.post("/billing/nothing", headers=headers, content=body)
    assert answer.status_code == nowhere.status_code == 404
    assert answer.json()["code"] == nowhere.json()["code"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the example is for a shell with OpenSSL")
async def test_the_example_of_the_docs(paid_callers: Callers, own_billing: OwnBilling) -> None:
    """The example for a shell signs as it has to; curl alone is another one here, which says what it would send."""
    page = (Path(__file__).parents[2] / "docs" / "billing.md").read_text()
    script = page.partition("```sh\n")[2].partition("```")[0]
    tenant = await a_tenant(paid_callers, plan="free")
    script = script.replace('"tenant":"acme"', f'"tenant":"{tenant.slug}"')
    spoken = 'curl() { for each in "$@"; do printf "%s\\n" "$each"; done; }\n' + script
    surroundings = {"PATH": os.environ["PATH"], "SECRET": SECRET, "ROLLCALL_URL": "http://x"}
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", spoken], env=surroundings, capture_output=True, text=True, timeout=60, check=True
    )
    words = done.stdout.splitlines()
    sent = [words[place + 1] for place, word in enumerate(words) if word == "-H"]
    headers = dict(each.split(": ", 1) for each in sent)
    answer = await own_billing.post(headers, words[words.index("-d") + 1].encode())
    assert answer.json() == {"received": True, "new": True}, answer.text
    await own_billing.settle()
    assert await has(tenant) == ("business", "active")


async def test_nothing_was_ever_said(paid_callers: Callers, own_billing: OwnBilling, owner: Connection) -> None:
    """Of whom nothing was ever said it is not known that they pay for nothing: the tenant stays, others may speak."""
    tenant = await a_tenant(paid_callers, plan="business")
    unheard = f"unheard-{tenant.slug}"
    answer = await paid_callers.operator.patch(tenant.v1, json={"customer": unheard, "plan": "free"})
    assert answer.status_code == 200, answer.text
    await own_billing.settle()
    row = await owner.fetchrow(
        "SELECT said, asked_at, due_at > clock_timestamp() AS later FROM billing_customers WHERE customer = $1", unheard
    )
    assert row is not None
    assert (row["said"], row["asked_at"], row["later"]) == (None, None, True)
    assert await has(tenant) == ("business", "active")
    async with open_fleet(own_billing.database, SYSTEM, ORIGIN) as fleet:
        await customers.hear(fleet, unheard, customers.STRIPE)
        assert (await customers.find(fleet, unheard)).provider == customers.STRIPE


@pytest.mark.parametrize("name", ["ends_at", "grace_until"])
async def test_a_date_beyond_all_time(tenant: Tenant, own_billing: OwnBilling, name: str) -> None:
    """A date to which no days can be added is refused with its field."""
    wrong: dict[str, Any] = {"tenant": tenant.slug, name: "9999-12-31T23:59:59Z"}
    answer = await own_billing.say(**wrong)
    assert (answer.status_code, answer.json()["param"]) == (400, name), answer.text
    await said(own_billing, tenant=tenant.slug, features=["scim"], ends_at="2200-12-31T00:00:00Z")
    assert await has(tenant) == ("free", "active")


async def test_one_of_whom_asking_fails(paid_callers: Callers, own_billing: OwnBilling, owner: Connection) -> None:
    """Whatever is wrong with one customer is shown with it, without what might be secret; the others are asked."""
    others = [await a_tenant(paid_callers, plan="free") for _ in range(3)]
    broken = await a_tenant(paid_callers, plan="free")
    for each in (broken, *others):
        assert (await own_billing.say(tenant=each.slug, features=["scim"])).status_code == 200
    providers = {**own_billing.providers, OWN: _FailsFor(own_billing.providers[OWN], broken.id)}
    await asking.ask_due(own_billing.database, providers)
    for each in others:
        assert await has(each) == ("free", "active")
    error = await owner.fetchval("SELECT error FROM billing_customers WHERE customer = $1", broken.id)
    assert ("unexpectedly (RuntimeError)" in error, "hunter2" in error) == (True, False)
    assert (await paid_callers.operator.post(f"{broken.v1}/billing/reconcile")).status_code == 202
    await own_billing.settle()
    assert await has(broken) == ("free", "active")


@dataclass(frozen=True)
class _FailsFor:
    """A provider that has a fault which one customer meets."""

    right: Provider
    customer: str
    is_open: bool = True

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Hint:
        return self.right.read(headers, body, now)

    async def ask(self, customer: str) -> Standing | None:
        if customer == self.customer:
            msg = "the password is hunter2"
            raise RuntimeError(msg)
        return await self.right.ask(customer)
