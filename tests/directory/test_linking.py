"""An admin links a person to the account they had before: their history goes on, and nothing else comes back."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from click.testing import CliRunner

from api.expect import done, turned_down
from authenticator import registered, signed_in
from factories import USER, Callers, Tenant, a_tenant, deactivation
from rollcall.cli.main import main
from rollcall.db import Connection
from rollcall.settings import Settings
from rows import until_waiting


async def look_up(tenant: Tenant, person: str) -> dict[str, Any]:
    answer = await tenant.callers.operator.get(f"{tenant.v1}/people/{person}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def link(tenant: Tenant, person: str, former: str) -> httpx.Response:
    return await tenant.callers.operator.post(f"{tenant.v1}/people/{person}/link", json={"former": former})


def linked(answer: httpx.Response) -> dict[str, Any]:
    """The person as they stand afterwards."""
    assert answer.status_code == 200, answer.text
    return answer.json()


async def removed(tenant: Tenant, user_name: str = "maria", **attributes: Any) -> str:
    """Somebody who was here and whose resource was deleted; returns their account."""
    person = await tenant.person(user_name, **attributes)
    assert (await tenant.scim.delete(f"/Users/{person['id']}")).status_code == 204
    return person["id"]


async def namesakes(tenant: Tenant, **attributes: Any) -> tuple[dict[str, Any], str]:
    """A person, and the account of a former one with the same userName."""
    former = await removed(tenant, externalId="e-1")
    return await tenant.person("maria", **attributes), former


async def test_history_goes_on(acme: Tenant) -> None:
    """The person is the former one again, by both ids; the account made meanwhile is closed and says where they are."""
    person, former = await namesakes(acme, externalId="e-2")

    back = linked(await link(acme, person["id"], former))

    assert (back["id"], back["scim_id"], back["active"]) == (former, person["id"], True)
    assert (back["external_id"], back["deactivated_at"], back["linked_to"]) == ("e-2", None, None)
    assert await look_up(acme, person["id"]) == await look_up(acme, former) == back
    everybody = (await acme.callers.operator.get(f"{acme.v1}/people")).json()["data"]
    (closed,) = [each for each in everybody if each["id"] == person["id"]]
    assert (closed["active"], closed["scim_id"], closed["linked_to"]) == (False, None, former)
    assert closed["deactivated_because"] == f"linked by hand to the account {former}"
    shown = (await acme.scim.get(f"/Users/{person['id']}")).json()
    assert (shown["active"], shown["meta"]["version"] != person["meta"]["version"]) == (True, True)


async def test_nothing_comes_back(acme: Tenant) -> None:
    """Neither what the former account had opened is good again nor what was opened for the other; new ones are."""
    first = await acme.person("maria")
    before = [await acme.session(first), await acme.personal_token(first)]
    old_device, old_key = await registered(acme, first), await acme.external(first)
    await acme.scim.delete(f"/Users/{first['id']}")
    person = await acme.person("maria")
    since = [await acme.session(person), await acme.personal_token(person)]
    device, key = await registered(acme, person), await acme.external(person)

    linked(await link(acme, person["id"], first["id"]))

    assert [await acme.callers.is_live(text) for text in before + since] == [False] * 4
    assert [await acme.is_good(each) for each in (old_key, key)] == [False, False]
    assert [(await signed_in(acme, each)).status_code for each in (old_device, device)] == [403, 403]
    assert await acme.callers.is_live(await acme.session(person))


async def test_what_is_told(acme: Tenant, rival: Connection) -> None:
    """The audit and the outbox say who was linked and that the other account is closed."""
    person, former = await namesakes(acme, roles=["dart-guests"])
    linked(await link(acme, person["id"], former))

    rows = await rival.fetch(
        "SELECT topic, account_id::text AS account, payload FROM outbox WHERE tenant_id = $1 ORDER BY id DESC LIMIT 2",
        UUID(acme.id),
    )
    assert {(row["topic"], row["account"]) for row in rows} == {
        ("user.linked", former),
        ("user.deactivated", person["id"]),
    }
    (entry,) = await acme.audit(action="user.linked")
    assert entry["person_id"] == former
    (closed,) = [each for each in await acme.audit(action="user.deactivated") if each["person_id"] == person["id"]]
    assert closed["events"] == ["user.deactivated"]


async def test_twice(acme: Tenant) -> None:
    """Linking again changes nothing, one after the other or at the same moment."""
    person, former = await namesakes(acme)
    answers = await asyncio.gather(*(link(acme, person["id"], former) for _ in range(3)))
    session = await acme.session({"id": former})
    answers.append(await link(acme, person["id"], former))

    assert {linked(answer)["id"] for answer in answers} == {former}
    assert await acme.callers.is_live(session)
    assert len(await acme.audit(action="user.linked")) == 1


async def test_two_want_one_account(acme: Tenant) -> None:
    """Of two people who are linked to one account at the same moment one gets it, and the other stays as they were."""
    former = await removed(acme)
    two = [await acme.person("maria"), await acme.person("maria.second")]
    sessions = [await acme.session(person) for person in two]

    answers = await asyncio.gather(*(link(acme, person["id"], former) for person in two))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert [await acme.callers.is_live(text) for text in sessions] == [answer.status_code == 409 for answer in answers]


async def test_undone(acme: Tenant) -> None:
    """A link that was wrong is undone by linking back, as far as it can be: what was closed stays closed."""
    person, former = await namesakes(acme, externalId="e-2")
    session = await acme.session(person)
    linked(await link(acme, person["id"], former))

    back = linked(await link(acme, former, person["id"]))

    assert (back["id"], back["external_id"], back["linked_to"], back["active"]) == (person["id"], "e-2", None, True)
    assert not await acme.callers.is_live(session)
    assert not (await look_up(acme, former))["active"]


async def test_provider_goes_on(acme: Tenant) -> None:
    """Removed and created again by the provider, the person keeps the account they were linked to."""
    person, former = await namesakes(acme, externalId="e-2")
    linked(await link(acme, person["id"], former))
    await acme.scim.delete(f"/Users/{person['id']}")
    again = await acme.person("maria.again", externalId="e-2")

    assert (await look_up(acme, again["id"]))["id"] == former
    assert (await look_up(acme, (await acme.person("another", externalId="e-2"))["id"]))["id"] != person["id"]


async def test_inactive_person(acme: Tenant) -> None:
    """Somebody who is deactivated is linked and stays so; let in again they are the former person."""
    person, former = await namesakes(acme)
    await acme.scim.patch(f"/Users/{person['id']}", json=deactivation())

    assert not linked(await link(acme, person["id"], former))["active"]

    back = linked(await acme.callers.operator.post(f"{acme.v1}/people/{person['id']}/reactivate"))
    assert (back["id"], back["active"]) == (former, True)


async def test_not_linkable(acme: Tenant) -> None:
    """Only a present person can be linked, and only to an account whose resource was removed."""
    person, former = await namesakes(acme)
    inactive = await acme.person("noor", active=False)

    for who, whom in (
        (person["id"], acme.admin["id"]),
        (person["id"], inactive["id"]),
        (person["id"], person["id"]),
        (former, former),
        (await removed(acme, "pedro"), former),
    ):
        answer = await link(acme, who, whom)
        if (who, whom) == (person["id"], person["id"]):
            assert linked(answer)["id"] == person["id"]  # they have this account already
        else:
            turned_down(answer, 409, "not_linkable")
    assert (await look_up(acme, person["id"]))["id"] == person["id"]


async def test_an_id_means_one_person(acme: Tenant) -> None:
    """An account whose id is still that of somebody's resource is given to nobody else."""
    person, former = await namesakes(acme)
    linked(await link(acme, person["id"], former))
    noor = await acme.person("noor")

    turned_down(await link(acme, noor["id"], person["id"]), 409, "not_linkable", "under this id")

    assert (await look_up(acme, person["id"]))["id"] == former
    await acme.scim.delete(f"/Users/{person['id']}")
    assert linked(await link(acme, noor["id"], person["id"]))["id"] == person["id"]


async def test_unknown_accounts(acme: Tenant, callers: Callers) -> None:
    """An account of another tenant is answered like one that never was."""
    other = await a_tenant(callers)
    person, former = await namesakes(acme)
    for who, whom in ((person["id"], await removed(other)), (person["id"], str(uuid4())), (str(uuid4()), former)):
        turned_down(await link(acme, who, whom), 404, "not_found")


async def test_mass_change(callers: Callers) -> None:
    """While unusually many people leave nobody is linked, until an admin has released that."""
    tenant = await a_tenant(callers, mass_change_threshold=1)
    person, former = await namesakes(tenant)
    await removed(tenant, "noor")

    turned_down(await link(tenant, person["id"], former), 409, "mass_change")
    assert (await look_up(tenant, person["id"]))["id"] == person["id"]


async def test_role_is_judged_anew(acme: Tenant) -> None:
    """The role comes from the names of today; what the provider or somebody by hand said of the former life is over."""
    was_admin = await removed(acme, "maria", roles=["dart-admins"])
    person = await acme.person("maria", roles=["dart-guests"])
    assert linked(await link(acme, person["id"], was_admin))["role"] == "guest"

    appointed = await acme.person("noor")
    await acme.callers.operator.post(f"{acme.v1}/people/{appointed['id']}/appoint")
    await acme.scim.delete(f"/Users/{appointed['id']}")
    back = linked(await link(acme, (await acme.person("noor"))["id"], appointed["id"]))
    assert (back["role"], back["is_admin"]) == ("member", False)


@pytest.mark.parametrize(("formerly", "now", "role"), [("guest", None, "guest"), ("admin", "guest", "guest")])
async def test_overrides(acme: Tenant, formerly: str, now: str | None, role: str) -> None:
    """An override of the former life holds, unless one was made in the present life: that one came later."""
    first = await acme.person("maria", roles=["dart-members"])
    give = f"{acme.v1}/people/{{}}/role"
    await acme.callers.operator.post(give.format(first["id"]), json={"role": formerly})
    await acme.scim.delete(f"/Users/{first['id']}")
    person = await acme.person("maria", roles=["dart-members"])
    if now is not None:
        await acme.callers.operator.post(give.format(person["id"]), json={"role": now})

    back = linked(await link(acme, person["id"], first["id"]))

    assert (back["role"], back["role_origin"]) == (role, "override")


async def test_role_by_group(acme: Tenant) -> None:
    """A role that comes from a group goes along, and goes with the group."""
    person, former = await namesakes(acme)
    members = [{"value": person["id"]}]
    group = done(await acme.scim.post("/Groups", json={"displayName": "dart-admins", "members": members}), 201)

    assert linked(await link(acme, person["id"], former))["role"] == "admin"

    assert (await acme.scim.delete(f"/Groups/{group['id']}")).status_code == 204
    assert (await look_up(acme, former))["role"] == "member"


async def test_contradicting_roles(callers: Callers) -> None:
    """Who has two roles by name is not linked before that is resolved."""
    tenant = await a_tenant(callers)
    person, former = await namesakes(tenant, roles=["dart-guests"])
    await tenant.scim.patch(f"/Users/{person['id']}", json=deactivation())
    body = {"schemas": [USER], "userName": "maria", "active": False, "roles": ["dart-guests", "dart-members"]}
    done(await tenant.scim.put(f"/Users/{person['id']}", json=body), 200)

    turned_down(await link(tenant, person["id"], former), 409, "not_linkable", "contradict")


def leaving(tenant: Tenant, person: dict[str, Any], way: str) -> asyncio.Task[httpx.Response]:
    """Somebody leaves, in a task of its own."""
    address = f"/Users/{person['id']}"
    match way:
        case "PATCH":
            doing = tenant.scim.patch(address, json=deactivation())
        case "PUT":
            doing = tenant.scim.put(address, json={"schemas": [USER], "userName": "maria", "active": False})
        case "DELETE":
            doing = tenant.scim.delete(address)
        case _:
            doing = tenant.callers.operator.post(f"{tenant.v1}/people/{person['id']}/deactivate")
    return asyncio.create_task(doing)


@pytest.mark.parametrize("way", ["PATCH", "PUT", "DELETE", "by hand"])
@pytest.mark.parametrize("first", ["leaving", "linking"])
async def test_leaving_meets_linking(
    acme: Tenant, rival: Connection, watcher: Connection, way: str, first: str
) -> None:
    """Whichever of the two is first, whoever leaves has left: both accounts are closed and nothing is good."""
    person, former = await namesakes(acme)
    session = await acme.session(person)
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM accounts WHERE id::text = $1 FOR UPDATE", person["id"])
        tasks: dict[str, asyncio.Task[httpx.Response]] = {}
        for what in (first, "linking" if first == "leaving" else "leaving"):
            doing = leaving(acme, person, way) if what == "leaving" else None
            tasks[what] = doing or asyncio.create_task(link(acme, person["id"], former))
            await until_waiting(watcher, tasks[what])
            await asyncio.sleep(0.1)
    async with asyncio.timeout(60):
        left, joined = await tasks["leaving"], await tasks["linking"]

    assert left.status_code in (200, 204), left.text
    assert joined.status_code in (200, 409), joined.text
    assert not await acme.callers.is_live(session)
    for account in (person["id"], former):
        assert not (await look_up(acme, account))["active"]
        turned_down(
            await acme.callers.product.post("/v1/sessions", json={"tenant": acme.slug, "person": account}),
            409,
            "person_inactive",
        )
    assert (await acme.scim.get(f"/Users/{person['id']}")).status_code == (404 if way == "DELETE" else 200)


async def test_creation_meets_linking(acme: Tenant, rival: Connection, watcher: Connection) -> None:
    """A creation with the former account's externalId and a link to it meet: one gets it, and both people are there."""
    person, former = await namesakes(acme)
    async with rival.transaction():
        await rival.fetchrow("SELECT FROM accounts WHERE id::text = $1 FOR UPDATE", former)
        creation = asyncio.create_task(acme.scim.post("/Users", json={"userName": "back", "externalId": "e-1"}))
        await until_waiting(watcher, creation)
        linking = asyncio.create_task(link(acme, person["id"], former))
        await asyncio.sleep(0.2)
    async with asyncio.timeout(60):
        made, joined = done(await creation, 201), await linking

    theirs = [(await look_up(acme, each["id"]))["id"] for each in (made, person)]
    assert theirs == ([made["id"], former] if joined.status_code == 200 else [former, person["id"]])
    assert [(await look_up(acme, account))["active"] for account in theirs] == [True, True]


async def test_command(acme: Tenant, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """``rollcall people link`` does it for ops, by userName and id."""
    person, former = await namesakes(acme)
    for name, value in settings_of(settings).items():
        monkeypatch.setenv(name, value)

    result = await asyncio.to_thread(CliRunner().invoke, main, ["people", "link", acme.slug, "maria", former])

    assert result.exit_code == 0, result.output
    assert former in result.output
    assert (await look_up(acme, person["id"]))["id"] == former


def settings_of(settings: Settings) -> dict[str, str]:
    """The settings as a command finds them in its environment."""
    return {
        "ROLLCALL_DATABASE_URL": settings.database_url.get_secret_value(),
        "ROLLCALL_REDIS_URL": settings.redis_url.get_secret_value(),
        "ROLLCALL_SECRET_KEYS": ",".join(key.get_secret_value() for key in settings.secret_keys),
        "ROLLCALL_PUBLIC_URL": settings.public_url,
    }
