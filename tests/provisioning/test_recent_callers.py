"""A change that is worked out from what is remembered of its caller ends as one that asks the gate first."""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from api.expect import refused
from factories import DART_RULE, PATCH_OP, USER, Callers, Tenant, a_tenant, deactivation, patch_op
from rollcall.crypto import TokenText, read_token
from rollcall.db import Connection
from rollcall.pool import HotPool
from rollcall.scim.resources import GROUP_SCHEMA as GROUP


def token_of(tenant: Tenant) -> TokenText:
    token = read_token(tenant.token["token"])
    assert token is not None
    return token


def forget(tenant: Tenant) -> None:
    tenant.callers.app.state.context.recent_callers.forget(token_of(tenant))


def is_remembered(tenant: Tenant) -> bool:
    return tenant.callers.app.state.context.recent_callers.recall(token_of(tenant)) is not None


@contextmanager
def statements() -> Generator[list[str]]:
    """What the hot paths ask the database meanwhile."""
    asked: list[str] = []
    through: Any = HotPool.fetchrow

    async def counting(self: HotPool, query: str, *args: object, of: object = None) -> Any:
        asked.append(query)
        return await through(self, query, *args, of=of)

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(HotPool, "fetchrow", counting)
        yield asked


def body(**attributes: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": "maria", **attributes}


KEPT = ("status", "outcome", "detail", "events", "payload")

BODIES: dict[str, dict[str, Any]] = {
    "plain": body(displayName="Maria", emails=[{"value": "maria@acme.test", "type": "work", "primary": True}]),
    "not plain": body(photos=[{"value": "https://acme.test/maria.png", "type": "photo"}]),
    "a role": body(roles=[{"value": "DART_GUEST"}]),
    "roles that conflict": body(roles=["dart-members", "dart-guests"]),
    "inactive, roles that conflict": body(active=False, roles=["dart-members", "dart-guests"]),
    "taken": body(userName="TAKEN"),
    "no userName": {"schemas": [USER]},
    "does not fit": body(name="Maria"),
    "a secret": body(password="hunter2"),
    "deviations": body(active="True", nobodysAttribute=1),
    "an externalId": body(externalId="e-1"),
}


@pytest.mark.parametrize("sent", BODIES.values(), ids=BODIES)
async def test_the_same_either_way(callers: Callers, sent: dict[str, Any]) -> None:
    """The answer, what is stored, the audit and the ledger of deviations are the same, remembered or not."""
    outcomes: list[Any] = []
    for remembered in (False, True):
        tenant = await a_tenant(callers)
        taken = await tenant.person("taken")
        if not remembered:
            forget(tenant)
        assert is_remembered(tenant) == remembered
        answer = await tenant.scim.post("/Users", json=sent, headers={"X-Request-Id": "the-same"})
        told: dict[str, Any] = answer.json()
        own_id = told.pop("id", None)
        told.pop("meta", None)
        told["detail"] = str(told.get("detail")).replace(taken["id"], "the id of whoever has it")
        audit = [
            {
                name: value
                for name, value in entry.items()
                if name in ("status", "outcome", "detail", "events", "payload")
            }
            for entry in await tenant.audit(action="scim.users.create")
        ]
        deviations = await callers.operator.get(f"{tenant.v1}/deviations")
        counted = [(each["deviation"], each["times"]) for each in deviations.json()["data"]]
        stored = None if own_id is None else (await tenant.scim.get(f"/Users/{own_id}")).json()["userName"]
        outcomes.append((answer.status_code, told, audit, counted, stored))
    assert outcomes[0] == outcomes[1]


PATCHES: dict[str, dict[str, Any]] = {
    "with a path": patch_op({"op": "replace", "path": "active", "value": False}),
    "without a path": patch_op({"op": "replace", "value": {"active": False}}),
    "Entra's words": patch_op({"op": "Replace", "path": "active", "value": "False"}),
    "added": patch_op({"op": "add", "path": "active", "value": False}),
    "removed": patch_op({"op": "remove", "path": "active"}),
    "said twice": patch_op(*2 * [{"op": "replace", "path": "active", "value": False}]),
    "there and back": patch_op({"op": "replace", "value": {"active": False}}, {"op": "add", "value": {"active": True}}),
    "with a title": patch_op({"op": "replace", "value": {"active": False, "title": "Dr"}}),
    "staying": patch_op({"op": "replace", "path": "active", "value": True}),
    "no boolean": patch_op({"op": "replace", "path": "active", "value": "no"}),
    "no operation": {"schemas": [PATCH_OP], "Operations": []},
}


@pytest.mark.parametrize("profile", ["default", "entra", "strict"])
@pytest.mark.parametrize("sent", PATCHES.values(), ids=PATCHES)
async def test_a_departure_is_the_same_either_way(
    callers: Callers, rival: Connection, sent: dict[str, Any], profile: str
) -> None:
    """The answer, the stored person, role, credentials, audit, outbox and ledger are the same, remembered or not."""
    outcomes: list[Any] = []
    for remembered in (False, True):
        tenant = await a_tenant(callers, profile=profile)
        person = await tenant.person("maria", roles=[{"value": "dart-guests"}], displayName="Maria")
        held = await tenant.person("held", roles=[{"value": "dart-guests"}])
        group = {"schemas": [GROUP], "displayName": "Readers", "members": [{"value": held["id"]}]}
        joined = await tenant.scim.post("/Groups", json=group)
        assert joined.status_code == 201, joined.text
        session = await tenant.session(person)
        for who in (person, held, person):
            if not remembered:
                forget(tenant)
            assert is_remembered(tenant) == remembered
            answer = await tenant.scim.patch(f"/Users/{who['id']}", json=sent)
            shown = (await tenant.scim.get(f"/Users/{who['id']}")).json()
            told = await callers.operator.get(f"{tenant.v1}/people/{who['id']}")
            outcomes.append(
                (
                    remembered,
                    answer.status_code,
                    answer.content and answer.json() == shown,
                    {
                        name: value
                        for name, value in shown.items()
                        if name in ("active", "title", "displayName", "roles")
                    },
                    [each["display"] for each in shown.get("groups", [])],
                    shown["meta"]["version"].partition(".")[0],
                    (told.json()["role"], told.json()["active"]),
                )
            )
        audit = await tenant.audit(action="scim.users.patch")
        counted = await callers.operator.get(f"{tenant.v1}/deviations")
        outcomes.append(
            (
                remembered,
                await callers.is_live(session),
                [{name: entry[name] for name in KEPT} for entry in audit],
                [(each["deviation"], each["times"]) for each in counted.json()["data"]],
                [
                    (row["topic"], without_times(row["payload"]))
                    for row in await rival.fetch(
                        "SELECT topic, payload FROM outbox "
                        "WHERE tenant_id::text = $1 AND topic LIKE 'user.%' ORDER BY id",
                        tenant.id,
                    )
                ],
            )
        )
    half = len(outcomes) // 2
    assert [outcome[1:] for outcome in outcomes[:half]] == [outcome[1:] for outcome in outcomes[half:]]


PUTS: dict[str, dict[str, Any]] = {
    "other attributes": body(active=True, displayName="Mary", title="Dr", roles=[{"value": "dart-guests"}]),
    "other addresses": body(active=True, emails=[{"value": "M@acme.test"}], roles=[{"value": "dart-guests"}]),
    "no addresses": body(active=True, emails=[], roles=[{"value": "dart-guests"}]),
    "the same": body(
        active=True, displayName="Maria", emails=[{"value": "m@x.test"}], roles=[{"value": "dart-guests"}]
    ),
    "another role": body(active=True, roles=[{"value": "dart-admins"}]),
    "no role": body(active=True),
    "roles that conflict": body(active=True, roles=["dart-guests", "dart-admins"]),
    "leaving": body(active=False, roles=[{"value": "dart-guests"}]),
    "nothing of active": body(roles=[{"value": "dart-guests"}], title="Dr"),
    "another userName": body(userName="mary", active=True, roles=[{"value": "dart-guests"}]),
    "another spelling": body(userName="MARIA", active=True, roles=[{"value": "dart-guests"}]),
    "taken": body(userName="held", active=True, roles=[{"value": "dart-guests"}]),
    "an externalId": body(externalId="e-2", active=True, roles=[{"value": "dart-guests"}]),
    "not plain": body(active=True, photos=[{"value": "https://a.test/m.png"}], roles=[{"value": "dart-guests"}]),
    "deviations": body(active="True", nobodysAttribute=1, roles=["dart-guests"], title="Dr"),
    "does not fit": body(active=True, name="Maria"),
}


@pytest.mark.parametrize("profile", ["default", "entra", "strict"])
@pytest.mark.parametrize("sent", PUTS.values(), ids=PUTS)
async def test_a_put_is_the_same_either_way(
    callers: Callers, rival: Connection, sent: dict[str, Any], profile: str
) -> None:
    """The answer, the stored person, whom look-ups find, role, cases, audit, outbox and ledger are the same."""
    outcomes: list[Any] = []
    for remembered in (False, True):
        tenant = await a_tenant(callers, profile=profile)
        person = await tenant.person(
            "maria", roles=[{"value": "dart-guests"}], displayName="Maria", emails=[{"value": "m@x.test"}]
        )
        held = await tenant.person("held")
        group = {"schemas": [GROUP], "displayName": "Readers", "members": [{"value": person["id"]}]}
        assert (await tenant.scim.post("/Groups", json=group)).status_code == 201
        address = f"/Users/{person['id']}"
        told: list[Any] = []
        for before in (None, None, patch_op({"op": "replace", "value": {"active": False}})):
            if before is not None:
                assert (await tenant.scim.patch(address, json=before)).status_code in (200, 204)
            if not remembered:
                forget(tenant)
            assert is_remembered(tenant) == remembered
            answer = await tenant.scim.put(address, json=sent)
            shown = (await tenant.scim.get(address)).json()
            known = await callers.operator.get(f"{tenant.v1}/people/{person['id']}")
            told += [
                answer.status_code,
                answer.status_code != 200
                or (answer.json() == shown, answer.headers["etag"] == shown["meta"]["version"]),
                {name: shown.get(name) for name in ("userName", "active", "title", "displayName", "roles", "emails")},
                [each["display"] for each in shown.get("groups", [])],
                shown["meta"]["version"].partition(".")[0],
                (known.json()["role"], known.json()["active"]),
                [
                    (await tenant.scim.get("/Users", params={"filter": text})).json()["totalResults"]
                    for text in ('emails.value eq "m@x.test"', 'displayName eq "mary"', 'userName eq "maria"')
                ],
            ]
        assert (await tenant.scim.get(f"/Users/{held['id']}")).json()["userName"] == "held"
        await callers.app.state.context.batched_entries.flush()
        counted = await callers.operator.get(f"{tenant.v1}/deviations")
        cases = await rival.fetch(
            "SELECT detail, times, closed_because FROM conflict_cases WHERE tenant_id::text = $1", tenant.id
        )
        events = await rival.fetch("SELECT topic FROM outbox WHERE tenant_id::text = $1 ORDER BY id", tenant.id)
        outcomes.append(
            (
                told,
                [{name: entry[name] for name in KEPT} for entry in await tenant.audit(action="scim.users.replace")],
                [(each["deviation"], each["times"]) for each in counted.json()["data"]],
                [(case["detail"], case["times"], case["closed_because"]) for case in cases],
                [row["topic"] for row in events],
            )
        )
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1]) == 3


def without_times(payload: str) -> dict[str, Any]:
    facts = json.loads(payload)
    changing = ("arrived_at", "closed_at", "transaction_id", "token_id", "session_id", "group_id", "owner_id")
    return {name: value for name, value in facts.items() if name not in changing}


async def test_one_statement_for_a_departure(callers: Callers) -> None:
    """A remembered caller's deactivation asks the database once."""
    tenant = await a_tenant(callers)
    person = await tenant.person()
    with statements() as asked:
        answer = await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
    assert answer.json()["active"] is False
    assert len(asked) == 1


async def test_one_statement_for_a_put(callers: Callers) -> None:
    """So does a PUT that repeats names and roles."""
    tenant = await a_tenant(callers)
    person = await tenant.person("maria", displayName="Maria")
    with statements() as asked:
        answer = await tenant.scim.put(f"/Users/{person['id']}", json=body(active=True, displayName="Mary"))
    assert answer.json()["displayName"] == "Mary"
    assert len(asked) == 1


async def test_a_put_and_a_departure_at_the_same_moment(acme: Tenant) -> None:
    """Neither undoes the other: who is sent as active after they left was sent first, or comes back by it."""
    for number in range(20):
        person = await acme.person(f"maria{number}")
        session = await acme.session(person)
        change, left = await asyncio.gather(
            acme.scim.put(f"/Users/{person['id']}", json=body(userName=f"maria{number}", active=True, title="Dr")),
            acme.scim.patch(f"/Users/{person['id']}", json=deactivation()),
        )
        assert (change.status_code, left.status_code) == (200, 200)
        shown = (await acme.scim.get(f"/Users/{person['id']}")).json()
        known = await acme.callers.operator.get(f"{acme.v1}/people/{person['id']}")
        assert shown["active"] == known.json()["active"]
        assert shown["title"] == "Dr"
        assert not await acme.callers.is_live(session)


async def test_departures_at_the_same_moment(acme: Tenant, rival: Connection) -> None:
    """Twenty deactivations of one person are all answered, and the person leaves once."""
    person = await acme.person("maria")
    answers = await asyncio.gather(*(acme.scim.patch(f"/Users/{person['id']}", json=deactivation()) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    told = "SELECT count(*) FROM outbox WHERE tenant_id::text = $1 AND topic = 'user.deactivated'"
    assert await rival.fetchval(told, acme.id) == 1


async def test_a_departure_and_a_removal_at_the_same_moment(acme: Tenant, rival: Connection) -> None:
    """Whichever comes first, the person leaves once, and the other call is answered 204 or 404, never 500."""
    for number in range(20):
        person = await acme.person(f"maria{number}")
        change, removal = await asyncio.gather(
            acme.scim.patch(f"/Users/{person['id']}", json=deactivation()), acme.scim.delete(f"/Users/{person['id']}")
        )
        assert change.status_code in (200, 404)
        assert removal.status_code == 204
    told = "SELECT count(*) FROM outbox WHERE tenant_id::text = $1 AND topic = 'user.deactivated'"
    assert await rival.fetchval(told, acme.id) == 20


async def test_one_statement(callers: Callers) -> None:
    """A remembered caller's creation asks the database once."""
    tenant = await a_tenant(callers)
    await tenant.person()
    with statements() as asked:
        await tenant.person()
    assert len(asked) == 1
    assert "create_user(" in asked[0]


async def test_a_rule_that_changed_meanwhile(callers: Callers) -> None:
    """Whoever comes right after an edit of the role rule gets their role by the new one."""
    tenant = await a_tenant(callers)
    await tenant.person()
    assert is_remembered(tenant)
    edited = await callers.operator.put(f"{tenant.v1}/role-rule", json=DART_RULE | {"default": "guest"})
    assert edited.status_code == 200, edited.text
    person = await tenant.person("late")
    shown = await callers.operator.get(f"{tenant.v1}/people/{person['id']}")
    assert shown.json()["role"] == "guest"


async def test_a_profile_that_changed_meanwhile(callers: Callers) -> None:
    """Whoever comes right after a tenant turned strict is judged by that."""
    tenant = await a_tenant(callers)
    await tenant.person()
    changed = await callers.operator.patch(tenant.v1, json={"profile": "strict"})
    assert changed.status_code == 200, changed.text
    assert is_remembered(tenant)
    refused(await tenant.scim.post("/Users", json=body(active="True")), 400, "invalidSyntax", saying="to the letter")


async def test_one_permit_each(callers: Callers) -> None:
    """A creation takes one permit of the rate limit, on either way."""
    tenant = await a_tenant(callers, rate_per_second=25, rate_burst=6)
    statuses = [(await tenant.scim.post("/Users", json=body(userName=f"p{n}"))).status_code for n in range(6)]
    assert statuses == [201] * 6


async def test_whoever_is_refused_is_forgotten(callers: Callers) -> None:
    """A remembered caller whose token ends is refused by the next statement, and their bodies are not read again."""
    tenant = await a_tenant(callers)
    person = await tenant.person()
    assert is_remembered(tenant)
    revoked = await callers.operator.post(f"{tenant.v1}/tokens/{tenant.token['id']}/revoke")
    assert revoked.status_code < 300, revoked.text
    refused(await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation()), 401, saying="revoked")
    assert not is_remembered(tenant)
    told = await callers.operator.get(f"{tenant.v1}/people/{person['id']}")
    assert told.json()["active"] is True
