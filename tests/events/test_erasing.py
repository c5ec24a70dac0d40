"""Somebody who has left is erased: nothing that names them is found anywhere, and that something happened stays."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import httpx
import pytest
import redis.asyncio as valkey_client

from api.expect import turned_down
from authenticator import registered, signed_in
from events.conftest import Listen, Post, answering
from factories import USER, Tenant, deactivation, patch_op
from rollcall.db import Connection
from rollcall.directory import erasing
from rollcall.events import departure_receipts
from rollcall.functions import qualified
from rollcall.settings import Settings
from rows import connected, tables_with

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MARK = "Quetzalcoatl"
"""What every attribute of the person has in it; nobody else does."""


@dataclass
class Marked:
    """A person with a name of their own in every attribute."""

    tenant: Tenant
    resource: dict[str, Any]

    @property
    def id(self) -> str:
        """Their id, the product's and SCIM's."""
        return self.resource["id"]


def every_attribute() -> dict[str, Any]:
    """A document in which each attribute has the mark, and something of its own."""
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": f"{MARK}.name@acme.test",
        "externalId": f"{MARK}-external",
        "name": {
            "formatted": f"Dr {MARK} Formatted",
            "givenName": f"{MARK}given",
            "familyName": f"{MARK}family",
            "middleName": f"{MARK}middle",
            "honorificPrefix": f"{MARK}prefix",
            "honorificSuffix": f"{MARK}suffix",
        },
        "displayName": f"{MARK} Display",
        "nickName": f"{MARK}nick",
        "profileUrl": f"https://people.example.com/{MARK}",
        "title": f"{MARK}title",
        "userType": f"{MARK}type",
        "preferredLanguage": f"{MARK}-language",
        "locale": f"{MARK}-locale",
        "timezone": f"{MARK}/zone",
        "emails": [{"value": f"{MARK}@work.test", "type": "work", "primary": True, "display": f"{MARK}d"}],
        "phoneNumbers": [{"value": f"tel:{MARK}", "type": "work"}],
        "ims": [{"value": f"{MARK}im", "type": "xmpp"}],
        "photos": [{"value": f"https://photos.example.com/{MARK}.png", "type": "photo"}],
        "addresses": [{"formatted": f"{MARK} street", "streetAddress": f"{MARK}s", "locality": f"{MARK}l"}],
        "entitlements": [{"value": f"{MARK}entitlement"}],
        "roles": [{"value": "dart-none-of-ours", "display": f"{MARK}role"}],
        "x509Certificates": [{"value": base64.b64encode(MARK.encode()).decode()}],
        ENTERPRISE: {
            name: f"{MARK}{name}" for name in ("employeeNumber", "costCenter", "organization", "division", "department")
        },
    }


async def everything(post: Post) -> Marked:
    """Somebody of whom all that can happen has happened, and who has left; not all of it was told yet."""
    acme = post.tenant
    made = await acme.scim.post("/Users", json=every_attribute())
    assert made.status_code == 201, made.text
    maria = Marked(acme, made.json())
    await refused_calls(acme, maria)
    await changes(acme, maria)
    await groups(acme, maria)
    await ways_in(acme, maria)
    left = await acme.scim.patch(f"/Users/{maria.id}", json=deactivation())
    assert left.status_code == 200, left.text
    return maria


async def refused_calls(acme: Tenant, maria: Marked) -> None:
    """Calls about the person that were refused, and questions."""
    again = {**every_attribute(), "externalId": "other"}
    assert (await acme.scim.post("/Users", json=again)).status_code == 409
    conflict = [{"value": "dart-admins"}, {"value": "dart-guests"}, {"value": "dart-members"}]
    refused = await acme.scim.patch(
        f"/Users/{maria.id}", json=patch_op({"op": "replace", "path": "roles", "value": conflict})
    )
    assert refused.status_code == 400
    for named in (f'userName eq "{MARK}.name@acme.test"', f'emails.value eq "{MARK}@work.test"'):
        assert (await acme.scim.get("/Users", params={"filter": named})).status_code == 200
    operator = acme.callers.operator
    taken = await operator.post(f"{acme.v1}/people", json={"user_name": f"{MARK}.name@acme.test"})
    assert taken.status_code == 409
    found = await operator.get(f"{acme.v1}/people", params={"user_name": f"{MARK}.name@acme.test"})
    assert found.status_code == 200


async def changes(acme: Tenant, maria: Marked) -> None:
    """A put, a patch by path and one without, which all give other names."""
    put = {**every_attribute(), "displayName": f"{MARK} Second", "nickName": "other"}
    assert (await acme.scim.put(f"/Users/{maria.id}", json=put)).status_code == 200
    for operation in (
        {"op": "replace", "path": "displayName", "value": f"{MARK} Third"},
        {"op": "replace", "value": {"userName": f"{MARK}.renamed@acme.test", "title": f"{MARK}chief"}},
    ):
        assert (await acme.scim.patch(f"/Users/{maria.id}", json=patch_op(operation))).status_code == 200


async def groups(acme: Tenant, maria: Marked) -> None:
    """Groups the person is in, one before they were known, with names for them of the group's own."""
    schema = "urn:ietf:params:scim:schemas:core:2.0:Group"
    member = {"value": maria.id, "display": f"{MARK} member"}
    made = await acme.scim.post("/Groups", json={"schemas": [schema], "displayName": "team", "members": [member]})
    assert made.status_code == 201, made.text
    unknown = {"value": f"{MARK}-external", "display": f"{MARK} Third"}  # by the provider's own id for them
    added = patch_op({"op": "add", "path": "members", "value": [unknown]})
    assert (await acme.scim.patch(f"/Groups/{made.json()['id']}", json=added)).status_code < 500


async def ways_in(acme: Tenant, maria: Marked) -> None:
    """Everything a person can have opened, with labels that name them, and what they did themselves."""
    await acme.session(maria.resource)
    device = await registered(acme, maria.resource, label=f"{MARK} phone")
    assert (await signed_in(acme, device)).status_code == 201
    await acme.external(maria.resource, name=f"{MARK} key")
    assert (await acme.callers.operator.post(f"{acme.v1}/people/{maria.id}/appoint")).status_code == 200
    one = f"{acme.v1}/people/{maria.id}/tokens"
    own = await acme.callers.product.post(one, json={"label": f"{MARK} laptop", "scopes": ["repo:read"]})
    assert own.status_code == 201, own.text
    admins = await acme.issue_token(label=f"{MARK} scripts", scopes=["admin"], owner=maria.id)
    async with acme.callers.bearer(admins["token"]) as herself:
        made = await herself.post(f"{acme.v1}/tokens", json={"label": f"by {MARK}.renamed@acme.test"})
        assert made.status_code == 201, made.text
        assert (await herself.get(f"{acme.v1}/people/{maria.id}")).status_code == 200
    await acme.issue_token(label=f"for {MARK} Third", owner=maria.id)


async def told(post: Post, maria: Marked) -> None:
    """Tell everybody, and complete the receipt; what could not be told was given up."""
    await post.fan_out()
    account = await post.owner.fetchval(
        "SELECT account_id FROM receipts WHERE account_id = $1 UNION SELECT id FROM accounts WHERE id = $1",
        UUID(maria.id),
    )
    message = await post.owner.fetchval(
        "SELECT id FROM outbox WHERE account_id = $1 AND topic = 'user.deactivated'", account
    )
    async with post.tenant.work() as work:
        await departure_receipts.settle(work, [message], post.context.signing)


async def erase(maria: Marked, **wanted: Any) -> httpx.Response:
    address = f"{maria.tenant.v1}/people/{maria.id}/erase"
    return await maria.tenant.callers.operator.post(address, json={"dry_run": False, **wanted})


def done(answer: httpx.Response) -> dict[str, Any]:
    """What was answered to a call that went well."""
    assert answer.status_code == 200, answer.text
    return answer.json()


async def look_through(post: Post) -> None:
    """Do what housekeeping does."""
    await erasing.bring_on(post.context.database)


async def left_of(post: Post, text: str) -> dict[str, list[str]]:
    """Where *text* is still found: tables, and rows as they are there."""
    found: dict[str, list[str]] = {}
    for table in await tables_with(post.owner, text):
        rows = await post.owner.fetch(f'SELECT t::text AS row FROM "{table}" t WHERE t::text ILIKE $1', f"%{text}%")
        found[table] = [row["row"][:300] for row in rows]
    return found


async def found_in_valkey(settings: Settings, text: str) -> list[str]:
    """The keys of Valkey that have *text* in their name or value, as the server dumps them."""
    client: Any = valkey_client.from_url(settings.redis_url.get_secret_value())  # pyright: ignore[reportUnknownMemberType]
    async with client:
        keys: list[bytes] = [key async for key in client.scan_iter()]
        dumped = {key: bytes(await client.dump(key) or b"") for key in keys}
    return [str(key) for key, value in dumped.items() if text.encode() in key + value]


async def test_nothing_is_left(post: Post, listen: Listen, settings: Settings) -> None:
    """Of a person with a name of their own in every attribute nothing is found in any column of any table after."""
    others = await left_of(post, MARK)
    hook = await post.hook(await listen(answering(400, body=f"who is {MARK}.renamed@acme.test?")), "user.updated")
    maria = await everything(post)
    await post.fan_out()
    await post.deliver(hook)
    await post.owner.execute("UPDATE deliveries SET state = 'dead', ended_at = now() WHERE state = 'pending'")
    await told(post, maria)
    await post.tenant.audit()  # what is still in memory is written down
    before = await left_of(post, MARK)
    assert {"accounts", "users", "audit_payloads", "audit_entries", "group_users", "tokens"} <= set(before)
    gone = done(await erase(maria))
    assert gone["erased"]
    await look_through(post)
    assert await left_of(post, MARK) == others
    assert await found_in_valkey(settings, MARK) == []


async def test_what_stays(post: Post) -> None:
    """Entries stay with time, ids and outcome; the receipt still verifies; who erased stands there, without a name."""
    maria = await everything(post)
    await told(post, maria)
    before = {each["id"]: each for each in await post.tenant.audit()}
    receipts = f"{maria.tenant.v1}/people/{maria.id}/receipts"
    (receipt,) = (await maria.tenant.callers.operator.get(receipts)).json()["data"]
    assert done(await erase(maria))["receipts_kept"] == 1
    await look_through(post)
    after = {each["id"]: each for each in await post.tenant.audit()}
    stays = ("at", "action", "actor_kind", "outcome", "status", "events", "method", "request_id")
    assert {key: [row[name] for name in stays] for key, row in before.items()} == {
        key: [after[key][name] for name in stays] for key in before
    }
    (entry,) = await post.tenant.audit(action="person.erased")
    assert (entry["outcome"], entry["target"]) == ("done", maria.id)
    assert (await maria.tenant.callers.operator.get(receipts)).json()["data"] == [receipt]
    topics = await post.owner.fetch("SELECT topic FROM outbox WHERE account_id = $1", UUID(maria.id))
    assert {row["topic"] for row in topics} == {"user.removed", "person.erased"}


async def test_receipts_may_go_too(post: Post) -> None:
    """Receipts, which are signed with the name in them, go where that is asked for."""
    maria = await everything(post)
    await told(post, maria)
    gone = done(await erase(maria, receipts=True))
    assert (gone["went"]["receipts"], gone["receipts_kept"]) == (1, 0)
    assert not await post.owner.fetchval("SELECT count(*) FROM receipts WHERE account_id = $1", UUID(maria.id))


async def test_others_stay(post: Post) -> None:
    """Nothing of anybody else goes: their rows, their payloads, and those of another tenant."""
    acme = post.tenant
    omar = await acme.person("omar@acme.test", displayName="Omar")
    maria = await everything(post)
    await told(post, maria)
    about = "SELECT count(*) FROM audit_payloads WHERE payload::text LIKE '%omar@acme.test%'"
    before = await post.owner.fetchval(about)
    done(await erase(maria))
    await look_through(post)
    assert before == await post.owner.fetchval(about) > 0
    assert (await acme.scim.get(f"/Users/{omar['id']}")).json()["displayName"] == "Omar"


async def test_a_dry_run(post: Post) -> None:
    """Asked without saying so, it changes nothing and says in numbers what would go."""
    maria = await everything(post)
    await told(post, maria)
    before = await left_of(post, MARK)
    address = f"{maria.tenant.v1}/people/{maria.id}/erase"
    said = done(await maria.tenant.callers.operator.post(address))
    assert (said["erased"], said["receipts_kept"]) == (False, 1)
    assert said["went"]["external_credentials"] == 1
    assert said["entries"] > 5
    assert await left_of(post, MARK) == before


async def test_only_who_has_left(post: Post) -> None:
    """Who is active is refused, and so is who has just left, until everybody was told and the receipt is complete."""
    person = await post.tenant.person("maria@acme.test")
    maria = Marked(post.tenant, person)
    turned_down(await erase(maria), 409, "not_erasable")
    await post.tenant.scim.patch(f"/Users/{maria.id}", json=deactivation())
    turned_down(await erase(maria), 409, "not_erasable")
    await told(post, maria)
    done(await erase(maria))


async def test_twice(post: Post) -> None:
    """Doing it twice is the same as doing it once, at the same moment too."""
    maria = await everything(post)
    await told(post, maria)
    first, second = await asyncio.gather(erase(maria), erase(maria))
    assert {bool(done(first)["went"]), bool(done(second)["went"])} == {True, False}
    assert done(await erase(maria))["erased"]
    assert len(await post.tenant.audit(action="person.erased")) == 1


async def test_the_same_name_again(post: Post) -> None:
    """Who comes with the same userName and externalId afterwards is a new person, and nobody's former account."""
    maria = await everything(post)
    await told(post, maria)
    done(await erase(maria))
    made = await post.tenant.scim.post("/Users", json=every_attribute())
    assert made.status_code == 201, made.text
    shown = done(await post.tenant.callers.operator.get(f"{post.tenant.v1}/people/{made.json()['id']}"))
    assert shown["id"] == made.json()["id"] != maria.id
    assert (await post.tenant.callers.operator.get(f"{post.tenant.v1}/people/{maria.id}")).json()["scim_id"] is None


async def test_in_batches(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit is looked through part by part, by whoever goes on; their names are kept until the end only."""
    others = await left_of(post, MARK)
    monkeypatch.setattr(erasing, "AT_ONCE", 3)
    maria = await everything(post)
    await told(post, maria)
    done(await erase(maria))
    entries = await post.owner.fetchval("SELECT count(*) FROM audit_entries WHERE tenant_id = $1", UUID(post.tenant.id))
    parts: list[int] = []
    while not parts or parts[-1]:
        assert await post.owner.fetchval("SELECT pattern <> '' FROM erasures WHERE account_id = $1", UUID(maria.id))
        async with post.tenant.work() as work:
            parts.append(await erasing.go_on(work, UUID(maria.id)))
    assert max(parts) == 3
    assert sum(parts) <= entries
    assert await left_of(post, MARK) == others


async def test_the_audit_refuses_all_else(post: Post) -> None:
    """While an erasure is under way its own entries can only be blanked, and nobody else's can be touched at all."""
    await post.tenant.person("omar@acme.test")
    maria = await everything(post)
    await told(post, maria)
    done(await erase(maria))
    theirs, others = f"account_id = '{maria.id}'", "target IS DISTINCT FROM 'x' AND action = 'scim.users.create'"
    for change, whose in (
        ("detail = 'nothing happened'", theirs),
        ("outcome = 'refused'", theirs),
        ("detail = NULL, at = now()", theirs),
        ("actor_label = 'erased'", f"{others} AND account_id <> '{maria.id}'"),
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await post.owner.execute(
                f"UPDATE audit_entries SET {change} WHERE tenant_id = $1 AND {whose}", UUID(post.tenant.id)
            )
    await look_through(post)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await post.owner.execute(
            f"UPDATE audit_entries SET path = 'erased' WHERE tenant_id = $1 AND {theirs}", UUID(post.tenant.id)
        )


async def test_another_tenants(post: Post, settings: Settings) -> None:
    """The running role erases nobody of a tenant that it has not entered, and writes down no erasure itself."""
    maria = await everything(post)
    await told(post, maria)
    schema = qualified("fn.erase_person")
    async with connected(settings.database_url.get_secret_value()) as runner:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runner.fetchval(f"SELECT {schema}($1, $2, 'x', true)", UUID(post.tenant.id), UUID(maria.id))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runner.execute("UPDATE erasures SET pattern = '.'")


async def test_an_audit_of_others(owner: Connection) -> None:
    """A name that is too short, or a number, is only found in quotes."""
    pattern = await owner.fetchval(qualified("SELECT fn.pattern_of($1)"), ["bob", "4711", "maria@acme.test"])
    texts = [
        "bobsled",
        'named "bob"',
        "“bob” is taken",
        "status 4711",
        '"4711"',
        "xmaria@acme.test",
        "<maria@acme.test>",
    ]
    found = [await owner.fetchval("SELECT $1::text ~* $2::text", each, pattern) for each in texts]
    assert found == [False, True, True, False, True, False, True]
