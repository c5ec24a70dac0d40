"""DELETE /Users/{id}: the resource goes, the account and its history stay."""

from uuid import uuid4

from api.expect import done, names, refused
from factories import Callers, Tenant


async def removed(tenant: Tenant, user_name: str, **attributes: object) -> dict[str, str]:
    """Somebody who was, and is removed."""
    person = await tenant.person(user_name, **attributes)
    answer = await tenant.scim.delete(f"/Users/{person['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    return person


async def account(tenant: Tenant, person_id: str) -> dict[str, object]:
    """The account as the management API shows it."""
    answer = await tenant.callers.operator.get(f"{tenant.v1}/people/{person_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_removed_person_is_nowhere(acme: Tenant) -> None:
    """After 204 a person is 404 to every verb, and in no list or look-up."""
    person = await removed(acme, "maria", externalId="1", emails=[{"value": "m@acme.test"}])
    address = f"/Users/{person['id']}"

    for answer in (
        await acme.scim.get(address),
        await acme.scim.delete(address),
        await acme.scim.put(address, json={"userName": "maria"}),
    ):
        refused(answer, 404)
    for text in ('userName eq "maria"', 'externalId eq "1"', 'emails eq "m@acme.test"', f'id eq "{person["id"]}"'):
        assert names(await acme.scim.get("/Users", params={"filter": text})) == []
    assert names(await acme.scim.get("/Users")) == [acme.admin["user_name"]]


async def test_every_way_in_is_closed(acme: Tenant) -> None:
    """A removed person's session is dead at once."""
    person = await acme.person("maria")
    session = await acme.session(person)

    await acme.scim.delete(f"/Users/{person['id']}")

    assert not await acme.callers.is_live(session)


async def test_account_stays(acme: Tenant) -> None:
    """The account of a removed person stays, inactive, without a SCIM resource."""
    person = await removed(acme, "maria", externalId="1")

    kept = await account(acme, person["id"])
    assert (kept["id"], kept["scim_id"], kept["active"]) == (person["id"], None, False)
    assert kept["deactivated_because"] == "deleted by the identity provider"


async def test_namesake_inherits_nothing(acme: Tenant) -> None:
    """A userName is free again at once, and who gets it has a new id and a new account."""
    first = await removed(acme, "maria", externalId="1")

    second = await acme.person("MARIA", externalId="2")
    third = await removed(acme, "pedro")
    fourth = await acme.person("pedro")

    assert second["id"] != first["id"]
    assert (await account(acme, second["id"]))["id"] == second["id"]
    assert fourth["id"] != third["id"]
    assert (await account(acme, fourth["id"]))["id"] == fourth["id"]


async def test_who_comes_back_has_their_history(acme: Tenant) -> None:
    """A POST with the externalId of somebody removed is a new resource linked to the old account."""
    first = await removed(acme, "maria", externalId="1")

    second = await acme.person("maria.new", externalId="1")

    assert second["id"] != first["id"]
    linked = await account(acme, second["id"])
    assert (linked["id"], linked["scim_id"], linked["user_name"]) == (first["id"], second["id"], "maria.new")
    assert (linked["active"], linked["deactivated_at"], linked["deactivated_because"]) == (True, None, None)
    refused(await acme.scim.get(f"/Users/{first['id']}"), 404)
    actions = {entry["action"] for entry in await acme.audit(person=first["id"])}
    assert actions == {"scim.users.create", "scim.users.delete"}


async def test_who_comes_back_has_no_old_session(acme: Tenant) -> None:
    """Coming back restores the person, never a session of before."""
    person = await acme.person("maria", externalId="1")
    session = await acme.session(person)
    await acme.scim.delete(f"/Users/{person['id']}")

    back = await acme.person("maria", externalId="1")

    assert not await acme.callers.is_live(session)
    assert await acme.callers.is_live(await acme.session(back))


async def test_coming_back_is_case_exact(acme: Tenant) -> None:
    """An externalId in another case is somebody else's."""
    first = await removed(acme, "maria", externalId="abc")

    second = await acme.person("maria", externalId="ABC")

    assert (await account(acme, second["id"]))["id"] == second["id"] != first["id"]


async def test_coming_back_inactive(acme: Tenant) -> None:
    """Somebody may come back inactive, and is let in by a later change."""
    first = await removed(acme, "maria", externalId="1")

    second = await acme.person("maria", externalId="1", active=False)

    assert (await account(acme, first["id"]))["active"] is False
    done(await acme.scim.put(f"/Users/{second['id']}", json={"userName": "maria", "externalId": "1", "active": True}))
    assert (await account(acme, first["id"]))["active"] is True


async def test_several_who_left_with_one_external_id(acme: Tenant) -> None:
    """Where several who left had one externalId, the last to leave is taken up first."""
    first, second = await acme.person("first", externalId="1"), await acme.person("second", externalId="1")
    for person in (second, first):
        await acme.scim.delete(f"/Users/{person['id']}")

    back = [await acme.person(f"back{number}", externalId="1") for number in range(3)]

    accounts = [(await account(acme, person["id"]))["id"] for person in back]
    assert accounts == [first["id"], second["id"], back[2]["id"]]


async def test_external_id_of_somebody_present(acme: Tenant) -> None:
    """An externalId that somebody present has is no reason to share their account."""
    first = await acme.person("maria", externalId="1")

    second = await acme.person("pedro", externalId="1")

    assert (await account(acme, second["id"]))["id"] == second["id"] != first["id"]


async def test_coming_back_in_another_tenant(acme: Tenant, other: Tenant) -> None:
    """An externalId brings nobody's account from another tenant."""
    first = await removed(other, "maria", externalId="1")

    second = await acme.person("maria", externalId="1")

    assert (await account(acme, second["id"]))["id"] == second["id"] != first["id"]


async def test_removing_nobody(acme: Tenant) -> None:
    """A DELETE of nobody is 404, and audited."""
    refused(await acme.scim.delete(f"/Users/{uuid4()}"), 404)

    assert (await acme.audit(action="scim.users.delete"))[0]["status"] == 404


async def test_the_tokens_own_owner(callers: Callers, acme: Tenant) -> None:
    """Removing the admin who owns the token is obeyed, and the token is dead from the next call on."""
    assert (await acme.scim.delete(f"/Users/{acme.admin['scim_id']}")).status_code == 204

    refused(await acme.scim.get("/Users"), 401, saying="no longer an active admin")
