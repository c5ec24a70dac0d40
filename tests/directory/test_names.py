"""Who is who: names that are the same by their key are one person's, also beside what was stored before it."""

# ruff: noqa: RUF001  # letters that look alike are what it is about

import asyncio
import json
from uuid import UUID

import pytest
from advanced_alchemy.alembic.commands import AlembicCommands

from architecture.databases import owners_url, scratch
from cli.shell import Shell
from factories import USER, Tenant, deactivation, patch_op
from rollcall import tables
from rollcall.cli.embedded import Engines
from rollcall.db import Connection, alchemy_config
from rollcall.directory import people, twins
from rollcall.errors import Taken
from rollcall.scim.resources import key
from rollcall.settings import Settings
from rows import connected

UNIQUE = "entra"
"""A profile in which groups have names of their own."""

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
SPELLINGS = ["ada@names.test", "ＡＤＡ@names.test", "ada\u200b@names.test", " Ada@Names.test\u00a0"]


async def found(tenant: Tenant, text: str, kind: str = "Users") -> list[str]:
    """The ids that a filter finds."""
    answer = await tenant.scim.get(f"/{kind}", params={"filter": text})
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["Resources"]]


async def named(tenant: Tenant, name: str) -> list[str]:
    """Who is found by a userName: by the look-up, by a page of it, and by a filter that has to be compiled."""
    looked_up = await found(tenant, f"userName eq {json.dumps(name)}")
    assert await found(tenant, f"userName eq {json.dumps(name)} and active pr") == looked_up
    answer = await tenant.scim.get("/Users", params={"filter": f"userName eq {json.dumps(name)}", "startIndex": "2"})
    assert (answer.json()["totalResults"], answer.json().get("Resources", [])) == (len(looked_up), [])
    return looked_up


async def posted(tenant: Tenant, name: str) -> int:
    """The status of taking somebody in."""
    answer = await tenant.scim.post("/Users", json={"schemas": [USER], "userName": name})
    if answer.status_code == 409:
        assert answer.json()["scimType"] == "uniqueness"
    return answer.status_code


async def aged(owner: Connection, tenant: Tenant, name: str, *, number: int = 0) -> str:
    """A person as a version before the present key has stored them; returns their id."""
    person = await tenant.person(f"aged{number}-{abs(hash(name))}@names.test")
    await owner.execute(
        "UPDATE users SET user_name_key = $3, document = jsonb_set(document, '{userName}', to_jsonb($4::text)) "
        "WHERE tenant_id = $1 AND id = $2",
        *(UUID(tenant.id), UUID(person["id"]), key(name), name),
    )
    await owner.execute(
        "UPDATE accounts SET user_name = $3 WHERE tenant_id = $1 AND id = "
        "(SELECT account_id FROM users WHERE tenant_id = $1 AND id = $2)",
        *(UUID(tenant.id), UUID(person["id"]), name),
    )
    return person["id"]


async def aged_group(owner: Connection, tenant: Tenant, name: str) -> str:
    """A group, likewise."""
    made = await tenant.scim.post("/Groups", json={"schemas": [GROUP], "displayName": f"aged {abs(hash(name))}"})
    await owner.execute(
        "UPDATE groups SET display_name_key = $3, display_name = $4 WHERE tenant_id = $1 AND id = $2",
        *(UUID(tenant.id), UUID(made.json()["id"]), key(name), name),
    )
    return made.json()["id"]


@pytest.mark.parametrize("name", SPELLINGS)
async def test_one_person_by_all_spellings(acme: Tenant, name: str) -> None:
    """Whoever is taken in under one spelling is found by each, shown as sent, and in nobody else's way."""
    person = await acme.person(name)
    assert person["userName"] == name
    for other in SPELLINGS:
        assert await named(acme, other) == [person["id"]]
        assert await posted(acme, other) == 409
    for part in ('sw "ＡDA@Na"', 'co "DA@naMes"', 'ew "＠names.TEST"', 'ne "x"'):
        assert person["id"] in await found(acme, f"userName {part}")
    assert person["id"] not in await found(acme, 'userName ne "ADA＠names.test"')
    async with acme.work() as work:
        assert (await people.find_by_user_name(work, "ada\u2060@names.test")).account.id == UUID(person["id"])
        with pytest.raises(Taken):
            await people.take_in(work, people.Draft(user_name="ａda@names.test"))


async def test_renamed_by_all_spellings(acme: Tenant) -> None:
    """Nobody is renamed to another spelling of somebody's name; of one's own it is shown, and stays the same."""
    ada, bob = await acme.person("ada@names.test"), await acme.person("bob@names.test")
    rename = patch_op({"op": "replace", "path": "userName", "value": "ａｄａ@names.test"})
    refused = await acme.scim.patch(f"/Users/{bob['id']}", json=rename)
    assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    renamed = await acme.scim.patch(f"/Users/{ada['id']}", json=rename)
    assert renamed.json()["userName"] == "ａｄａ@names.test"
    assert await named(acme, "ADA@names.test") == [ada["id"]]


@pytest.mark.parametrize("name", ["\u200b", " \u2060 ", "\u3164"])
async def test_a_name_nobody_sees(acme: Tenant, name: str) -> None:
    """A userName that is nothing but invisible is none."""
    answer = await acme.scim.post("/Users", json={"schemas": [USER], "userName": name})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert "invisible" in answer.json()["detail"]


async def test_a_name_from_before(owner: Connection, acme: Tenant) -> None:
    """It is found by its own spelling at once, by all once it has its present key, and then nobody else gets it."""
    before = "ａｄａ@names.test"
    ada = await aged(owner, acme, before)
    assert await named(acme, before) == [ada]
    assert await named(acme, "ada@names.test") == []
    await twins.fill(owner)
    for spelling in (before, *SPELLINGS):
        assert await named(acme, spelling) == [ada]
        assert await posted(acme, spelling) == 409
    for part in ('sw "ada@N"', 'co "da@nam"', 'ew "＠names.TEST"'):
        assert ada in await found(acme, f"userName {part}")
    async with acme.work() as work:
        assert (await people.find_by_user_name(work, "ADA@names.test")).account.id == UUID(ada)
    stored = await owner.fetchval("SELECT user_name_key FROM users WHERE id = $1", UUID(ada))
    assert stored == before, "a version before finds it too"


async def test_a_name_from_before_changes(owner: Connection, acme: Tenant) -> None:
    """Whoever changes or leaves under it keeps it; whoever gets another name leaves it free."""
    ada = await aged(owner, acme, "ada @names.test ")
    await twins.fill(owner)
    for change in (deactivation(), patch_op({"op": "replace", "path": "active", "value": True})):
        assert (await acme.scim.patch(f"/Users/{ada}", json=change)).status_code == 200
    whole = {"schemas": [USER], "userName": "ADA @names.test ", "title": "Countess"}
    assert (await acme.scim.put(f"/Users/{ada}", json=whole)).status_code == 200
    assert await named(acme, "ada @names.test") == [ada]
    assert (await acme.scim.put(f"/Users/{ada}", json=whole | {"userName": "lovelace@names.test"})).status_code == 200
    assert await named(acme, "ada @names.test") == []
    assert await posted(acme, "ada @names.test") == 201
    await twins.fill(owner)
    assert not await owner.fetchval("SELECT count(*) FROM user_name_keys WHERE user_id = $1", UUID(ada))


async def test_twins_stay(owner: Connection, acme: Tenant) -> None:
    """Two people whose names have become the same are each found and changed as before; a third is refused, also when
    one of them has gone."""
    plain = (await acme.person("ada@names.test"))["id"]
    wide, hidden = await aged(owner, acme, "ａda@names.test"), await aged(owner, acme, "ada\u200b@names.test")
    await twins.fill(owner)
    everybody = {"ada@names.test": plain, "ａda@names.test": wide, "ADA\u200b@names.test": hidden}
    for name, twin in everybody.items():
        assert await named(acme, name) == [twin]
        change = patch_op({"op": "add", "value": {"title": "T", "userName": name}})
        changed = await acme.scim.patch(f"/Users/{twin}", json=change)
        assert (changed.status_code, changed.json()["userName"]) == (200, name)
        assert (await acme.scim.patch(f"/Users/{twin}", json=deactivation())).status_code == 200
    assert await named(acme, " ada@names.test") == [plain]
    assert await posted(acme, "ada @names.test".replace(" ", "\u2060")) == 409
    taken = patch_op({"op": "replace", "path": "userName", "value": "ada@names.test"})
    assert (await acme.scim.patch(f"/Users/{wide}", json=taken)).status_code == 409
    assert (await acme.scim.delete(f"/Users/{plain}")).status_code == 204
    assert await posted(acme, "ada@names.test") == 409
    assert await named(acme, "ada@names.test") == [min(wide, hidden)]
    assert (await acme.scim.patch(f"/Users/{wide}", json=taken)).status_code == 409


async def test_twins_are_listed(owner: Connection, acme: Tenant, settings: Settings) -> None:
    """Before the upgrade and after it: by tenant, with names as they were sent."""
    plain = (await acme.person("eve@names.test"))["id"]
    wide = await aged(owner, acme, "ｅve@names.test")
    await aged(owner, acme, "ｂob@names.test")
    here, there = await aged_group(owner, acme, "Team\u00a0A"), await aged_group(owner, acme, "Team A ")
    mine = [each for each in await twins.listed(owner) if each.tenant == acme.slug]
    assert [(each.kind, [(one.id, one.name) for one in each.holders]) for each in mine] == [
        ("userName", [(plain, "eve@names.test"), (wide, "ｅve@names.test")]),
        ("displayName", [(here, "Team\u00a0A"), (there, "Team A ")]),
    ]


async def test_groups_by_all_spellings(owner: Connection, acme: Tenant) -> None:
    """Groups are found likewise; where their names are unique there is one of each."""
    assert (await acme.callers.operator.patch(acme.v1, json={"profile": "entra"})).status_code == 200
    before = await aged_group(owner, acme, "Ｔeam")
    await twins.fill(owner)
    for name in ("Ｔeam", "team", "TEAM\u200b"):
        for more in ("", " and displayName pr"):
            assert await found(acme, f"displayName eq {json.dumps(name)}{more}", "Groups") == [before]
    assert await found(acme, 'displayName sw "tea"', "Groups") == [before]


async def test_unique_group_names(owner: Connection, acme: Tenant) -> None:
    """A name is taken in all its spellings; a group from before keeps its own."""
    profile = await acme.callers.operator.patch(acme.v1, json={"profile": UNIQUE})
    assert profile.status_code == 200, profile.text
    before = await aged_group(owner, acme, "Ｔeam")
    await twins.fill(owner)
    group = {"schemas": [GROUP], "displayName": "Team "}
    assert (await acme.scim.post("/Groups", json=group)).status_code == 409
    other = await acme.scim.post("/Groups", json=group | {"displayName": "Other"})
    assert (await acme.scim.put(f"/Groups/{other.json()['id']}", json=group)).status_code == 409
    kept = await acme.scim.put(f"/Groups/{before}", json=group | {"displayName": "ＴEAM"})
    assert (kept.status_code, kept.json()["displayName"]) == (200, "ＴEAM")
    assert (await acme.scim.put(f"/Groups/{before}", json=group | {"displayName": "Crew"})).status_code == 200
    assert (await acme.scim.post("/Groups", json=group)).status_code == 201


async def test_there_and_back(engines: Engines, settings: Settings) -> None:
    """Taking the revision back gives what was stored since its first key again, and it can be made anew."""
    async with scratch(engines, settings) as there:
        await tables.migrate(there)
        async with connected(owners_url(there)) as owner:
            await owner.execute(
                """
                INSERT INTO plans (key, name, features) VALUES ('p', 'P', '{scim}');
                INSERT INTO tenants (slug, name, plan, role_rule) VALUES ('t', 'T', 'p', '{}');
                INSERT INTO accounts (tenant_id, id, user_name, active, role, is_admin, role_state)
                SELECT id, '018f0000-0000-7000-8000-000000000001', 'x', true, 'member', false, '{}' FROM tenants;
                INSERT INTO users (tenant_id, id, account_id, user_name_key, active, document)
                SELECT id, '018f0000-0000-7000-8000-000000000001', '018f0000-0000-7000-8000-000000000001', 'ada', true,
                       '{"userName": "ＡDA"}' FROM tenants;
                INSERT INTO groups (tenant_id, display_name, display_name_key)
                SELECT id, 'Te\u00a0am ', 'te am' FROM tenants;
                """
            )
        for revision in ("2026_11_29_function_schemas", "head"):
            commands = AlembicCommands(alchemy_config(owners_url(there)))
            change = commands.upgrade if revision == "head" else commands.downgrade
            await asyncio.to_thread(change, revision)
            async with connected(owners_url(there)) as owner:
                assert await owner.fetchval("SELECT user_name_key FROM users") == "ａda"
                assert await owner.fetchval("SELECT display_name_key FROM groups") == "te\u00a0am "
        async with connected(owners_url(there)) as owner:
            assert await twins.fill(owner) == 2
            assert await owner.fetchval("SELECT key FROM user_name_keys") == "ada"


async def test_twins_are_shown(owner: Connection, acme: Tenant, settings: Settings) -> None:
    """``people show`` says whose name is the same; ``migrate --check`` lists all, and they stand in nobody's way."""
    plain = await acme.person("zoe@names.test")
    wide = await aged(owner, acme, "ｚoe@names.test")
    shell = Shell(settings)
    await twins.fill(owner)
    for name, other in (("zoe@names.test", "ｚoe@names.test"), ("ｚoe@names.test", "zoe@names.test")):
        shown = json.loads((await shell("people", "show", acme.slug, name, "--json")).well)
        assert (shown["user_name"], shown["twins"]) == (name, [other])
    shown = json.loads((await shell("people", "show", acme.slug, acme.admin["user_name"], "--json")).well)
    assert shown["twins"] == []
    said = (await shell("migrate", "--check")).well
    assert f'twins    {acme.slug}, userName: "zoe@names.test" ({plain["id"]}), "\\uff5aoe@names.test" ({wide})' in said
    facts = json.loads((await shell("migrate", "--check", "--json")).well)
    assert {"id": wide, "name": "ｚoe@names.test"} in [one for each in facts["twins"] for one in each["holders"]]
    assert next(each for each in facts["checks"] if each["name"] == "names")["state"] == "ok"
