"""What the vendor keeps with a tenant: their own id for the customer, and metadata that the customer never sees."""

import asyncio
import json
from itertools import count
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from api.expect import turned_down
from factories import DART_RULE, Callers, a_tenant
from rollcall.cli.tenants import tenants as commands

_NUMBERS = count(1)


def fresh() -> str:
    return f"cus_{next(_NUMBERS)}"


def wanted(**fields: Any) -> dict[str, Any]:
    slug = f"vendors-{next(_NUMBERS)}"
    return {"slug": slug, "name": "Customer", "plan": "business", "role_rule": DART_RULE, **fields}


async def test_set_and_found(callers: Callers) -> None:
    """Both are set with the tenant, shown with it, and the tenant is found by its external id."""
    cus = fresh()
    made = await callers.operator.post("/v1/tenants", json=wanted(external_id=cus, metadata={"crm": "0061t"}))
    assert made.status_code == 201, made.text
    assert (made.json()["external_id"], made.json()["metadata"]) == (cus, {"crm": "0061t"})
    found = await callers.operator.get("/v1/tenants", params={"external_id": cus})
    assert found.json()["data"] == [made.json()]
    for other in (cus.upper(), "cus_nobody"):
        assert (await callers.operator.get("/v1/tenants", params={"external_id": other})).json()["data"] == []


async def test_left_out(callers: Callers) -> None:
    """A tenant has neither unless it is given one, and many have none."""
    for _ in range(2):
        made = (await callers.operator.post("/v1/tenants", json=wanted())).json()
        assert (made["external_id"], made["metadata"]) == (None, {})


async def test_changed(callers: Callers) -> None:
    """A change sets what it says: metadata as a whole, and an external id of null takes it away."""
    cus = fresh()
    made = (await callers.operator.post("/v1/tenants", json=wanted(external_id=cus, metadata={"a": "1"}))).json()
    address = f"/v1/tenants/{made['slug']}"

    async def change(**fields: Any) -> tuple[Any, Any]:
        answer = (await callers.operator.patch(address, json=fields)).json()
        return answer["external_id"], answer["metadata"]

    assert await change(name="Renamed") == (cus, {"a": "1"})
    assert await change(metadata={"b": "2"}) == (cus, {"b": "2"})
    assert await change(external_id=None) == (None, {"b": "2"})
    assert await change(metadata={}) == (None, {})
    turned_down(await callers.operator.patch(address, json={"metadata": None}), 400, "invalid", "can't be taken away")


async def test_an_external_id_is_one_tenants(callers: Callers) -> None:
    """A second tenant can't have it, not by creation, not by change and not at the same moment."""
    cus = fresh()
    both = await asyncio.gather(*(callers.operator.post("/v1/tenants", json=wanted(external_id=cus)) for _ in range(2)))
    assert sorted(answer.status_code for answer in both) == [201, 409]
    turned_down(await callers.operator.post("/v1/tenants", json=wanted(external_id=cus)), 409, "taken", "external_id")
    other = (await callers.operator.post("/v1/tenants", json=wanted())).json()
    refused = await callers.operator.patch(f"/v1/tenants/{other['slug']}", json={"external_id": cus, "name": "New"})
    turned_down(refused, 409, "taken", f"“{cus}”")
    assert (await callers.operator.get(f"/v1/tenants/{other['slug']}")).json() == other


@pytest.mark.parametrize(
    ("fields", "saying"),
    [
        ({"external_id": ""}, "external_id: "),
        ({"external_id": "x" * 256}, "external_id: "),
        ({"external_id": "a\x00b"}, "NUL"),
        ({"external_id": 7}, "external_id: "),
        ({"metadata": {str(number): "" for number in range(51)}}, "metadata"),
        ({"metadata": {"": "x"}}, "keys have 1 to 40"),
        ({"metadata": {"k" * 41: "x"}}, "keys have 1 to 40"),
        ({"metadata": {"k": "v" * 501}}, "500"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"metadata": {"k": None}}, "metadata"),
        ({"metadata": {"k": "a\x00b"}}, "NUL"),
        ({"metadata": {"\ud800": "x"}}, ""),
        ({"metadata": ["k"]}, "metadata"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else None,
)
async def test_what_can_not_be_kept(callers: Callers, fields: dict[str, Any], saying: str) -> None:
    """What is too long, too many or no text is refused, at creation and at a change."""
    headers = {"Content-Type": "application/json"}
    made = await callers.operator.post("/v1/tenants", content=json.dumps(wanted(**fields)), headers=headers)
    assert made.status_code == 400, made.text
    assert saying in made.json()["detail"]
    tenant = (await callers.operator.post("/v1/tenants", json=wanted())).json()
    changed = await callers.operator.patch(f"/v1/tenants/{tenant['slug']}", content=json.dumps(fields), headers=headers)
    assert changed.status_code == 400, changed.text


async def test_the_most_there_can_be(callers: Callers) -> None:
    """Everything at its limit is kept as it was sent."""
    metadata = {f"{number:02}".ljust(40, "k"): "ü" * 500 for number in range(50)}
    cus = fresh().ljust(255, "ü")
    made = (await callers.operator.post("/v1/tenants", json=wanted(external_id=cus, metadata=metadata))).json()
    assert (made["external_id"], made["metadata"]) == (cus, metadata)


async def test_never_the_customers(callers: Callers) -> None:
    """A tenant's admin sees no metadata: not in the tenant, not in its audit, and not in what webhooks are told."""
    acme = await a_tenant(callers, metadata={"mood": "churn-risk"}, external_id=fresh())
    await callers.operator.patch(acme.v1, json={"metadata": {"mood": "churn-certain"}})
    token = (await acme.issue_token(scopes=["admin"], owner=acme.admin["id"]))["token"]
    async with callers.bearer(token) as ada:
        seen = (await ada.get(acme.v1)).json()
        audit = (await ada.get(f"{acme.v1}/audit")).text
    assert seen["metadata"] is None
    assert seen["external_id"] is not None
    assert "churn" not in audit
    assert '"changes":{"metadata":"changed"}' in audit
    async with acme.work() as work:
        rows = await work.db.execute(text("SELECT payload::text FROM outbox"))
        assert "churn" not in "".join(row[0] for row in rows)


async def test_commands_show_them(callers: Callers, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """``rollcall tenants show`` has both, for people and for programs; so has the list for programs."""
    acme = await a_tenant(callers, metadata={"crm": "0061t"}, external_id=(cus := fresh()))
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("ROLLCALL_REDIS_URL", settings.redis_url.get_secret_value())
    monkeypatch.setenv("ROLLCALL_SECRET_KEYS", settings.secret_keys[0].get_secret_value())

    def run(*words: str) -> str:
        result = CliRunner().invoke(commands, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    said = await asyncio.to_thread(run, "show", acme.slug)
    assert f"external id   {cus}" in said
    assert "metadata crm  0061t" in said
    facts = json.loads(await asyncio.to_thread(run, "show", acme.slug, "--json"))
    assert (facts["external_id"], facts["metadata"]) == (cus, {"crm": "0061t"})
    listed = json.loads(await asyncio.to_thread(run, "list", "--json"))
    assert cus in {row["external_id"] for row in listed["data"]}
