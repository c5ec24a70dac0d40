"""If-Match and If-None-Match: a request that means one version does nothing to another (RFC 7644 §3.14)."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from api.expect import done, refused
from api.scim.test_groups import GROUP, add, make
from factories import Tenant, patch_op

KINDS = ["Users", "Groups"]


def rename(name: str) -> dict[str, Any]:
    """A PATCH of the name that is shown."""
    return patch_op({"op": "replace", "path": "displayName", "value": name})


async def something(tenant: Tenant, kind: str) -> httpx.Response:
    """A new person or group, as it is read."""
    resource = await tenant.person(displayName="Before") if kind == "Users" else await make(tenant, "Before")
    return await tenant.scim.get(f"/{kind}/{resource['id']}")


def address(answer: httpx.Response) -> str:
    """Where a resource is, below ``/scim/v2``."""
    return answer.headers["Location"].partition("/scim/v2")[2]


def body(kind: str, name: str, read: httpx.Response) -> dict[str, Any]:
    """The PUT that renames."""
    known = read.json()
    if kind == "Users":
        return {"schemas": known["schemas"], "userName": known["userName"], "displayName": name}
    return {"schemas": [GROUP], "displayName": name}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_answer_has_its_version(acme: Tenant, kind: str) -> None:
    """ETag is meta.version, on what is read, made and changed, and each change makes another."""
    read = await something(acme, kind)
    put = await acme.scim.put(address(read), json=body(kind, "One", read))
    patched = await acme.scim.patch(address(read), json=rename("Two"))
    again = await acme.scim.get(address(read))

    for answer in (read, put, patched, again):
        assert answer.headers["ETag"] == done(answer)["meta"]["version"]
    assert len({answer.headers["ETag"] for answer in (read, put, patched)}) == 3
    assert again.headers["ETag"] == patched.headers["ETag"]


async def test_it_is_announced(acme: Tenant) -> None:
    """Providers are told that there are versions to be had."""
    assert done(await acme.scim.get("/ServiceProviderConfig"))["etag"] == {"supported": True}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_known_version_is_not_sent_again(acme: Tenant, kind: str) -> None:
    """If-None-Match with the present version is 304, with the version and without a body; an older one gets all."""
    read = await something(acme, kind)
    condition = {"If-None-Match": f'"other", {read.headers["ETag"]}'}
    known = await acme.scim.get(address(read), headers=condition)
    await acme.scim.patch(address(read), json=rename("After"))
    changed = await acme.scim.get(address(read), headers=condition)

    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["ETag"] == read.headers["ETag"]
    assert "content-type" not in known.headers
    assert done(changed)["displayName"] == "After"
    entries = await acme.audit(action=f"scim.{kind.lower()}.read")
    assert [(entry["outcome"], entry["target"]) for entry in entries] == [("done", read.json()["id"])] * 3


async def test_membership_makes_another_version_of_a_person(acme: Tenant) -> None:
    """A person who comes into a group is another version: their groups are part of what is read."""
    maria = await acme.person()
    before = maria["meta"]["version"]
    await make(acme, "Engineering", maria)

    read = await acme.scim.get(f"/Users/{maria['id']}", headers={"If-None-Match": before})
    late = await acme.scim.patch(f"/Users/{maria['id']}", json=rename("x"), headers={"If-Match": before})

    assert done(read)["groups"]
    refused(late, 412)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_change_of_the_known_version(acme: Tenant, kind: str, method: str) -> None:
    """If-Match with the present version, or *, lets a change through."""
    for condition in ("*", "own"):
        read = await something(acme, kind)
        headers = {"If-Match": read.headers["ETag"] if condition == "own" else condition}
        sent = {"PUT": body(kind, "After", read), "PATCH": rename("After"), "DELETE": None}[method]
        answer = await acme.scim.request(method, address(read), json=sent, headers=headers)

        assert answer.status_code == (204 if method == "DELETE" else 200), answer.text
        after = await acme.scim.get(address(read))
        if method == "DELETE":
            refused(after, 404)
        else:
            assert done(after)["displayName"] == "After"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_change_of_an_older_version(acme: Tenant, kind: str, method: str) -> None:
    """If-Match with an older version is 412: nothing is changed, and the audit says who was refused what."""
    read = await something(acme, kind)
    await acme.scim.patch(address(read), json=rename("Meanwhile"))
    sent = {"PUT": body(kind, "After", read), "PATCH": rename("After"), "DELETE": None}[method]

    for headers in ({"If-Match": read.headers["ETag"]}, {"If-None-Match": "*"}, {"If-Match": '"nonsense'}):
        refused(await acme.scim.request(method, address(read), json=sent, headers=headers), 412)

    assert done(await acme.scim.get(address(read)))["displayName"] == "Meanwhile"
    action = {"PUT": "replace", "PATCH": "patch", "DELETE": "delete"}[method]
    entry = (await acme.audit(action=f"scim.{kind.lower()}.{action}"))[0]
    assert (entry["outcome"], entry["status"], entry["target"]) == ("refused", 412, read.json()["id"])


@pytest.mark.parametrize("kind", KINDS)
async def test_whoever_is_not_there_has_no_version(acme: Tenant, kind: str) -> None:
    """Somebody unknown is 404 under every condition, as without one (RFC 9110 §13.2.1)."""
    for method in ("GET", "PATCH", "DELETE"):
        for headers in ({"If-Match": "*"}, {"If-None-Match": "*"}, {"If-Match": 'W/"1"'}):
            sent = rename("x") if method == "PATCH" else None
            refused(await acme.scim.request(method, f"/{kind}/nobody", json=sent, headers=headers), 404)


async def test_reading_another_version_than_required(acme: Tenant) -> None:
    """A GET with If-Match and another version is 412."""
    read = await something(acme, "Users")

    refused(await acme.scim.get(address(read), headers={"If-Match": 'W/"99"'}), 412)
    done(await acme.scim.get(address(read), headers={"If-Match": read.headers["ETag"]}))


async def test_a_condition_that_comes_after_the_gate(acme: Tenant) -> None:
    """Whoever may not come in learns nothing of versions."""
    read = await something(acme, "Users")
    await acme.callers.operator.post(f"{acme.v1}/tokens/{acme.token['id']}/revoke")

    refused(await acme.scim.get(address(read), headers={"If-None-Match": read.headers["ETag"]}), 401)
    refused(await acme.scim.delete(address(read), headers={"If-Match": 'W/"99"'}), 401)


async def test_nothing_to_change(acme: Tenant) -> None:
    """A change that changes nothing is refused too, if its version is another."""
    read = await something(acme, "Users")

    refused(await acme.scim.patch(address(read), json=rename("Before"), headers={"If-Match": 'W/"99"'}), 412)
    done(await acme.scim.patch(address(read), json=rename("Before"), headers={"If-Match": read.headers["ETag"]}))


async def test_leaving_needs_its_version_too(acme: Tenant) -> None:
    """A deactivation with another version is refused like any other change: its sender asked for that."""
    read = await something(acme, "Users")
    leave = patch_op({"op": "replace", "path": "active", "value": False})

    refused(await acme.scim.patch(address(read), json=leave, headers={"If-Match": 'W/"99"'}), 412)
    assert done(await acme.scim.get(address(read)))["active"] is True


@pytest.mark.parametrize("kind", KINDS)
async def test_two_who_mean_the_same_version(acme: Tenant, kind: str) -> None:
    """Of several changes of one version at the same moment exactly one is carried out."""
    for _ in range(5):
        read = await something(acme, kind)
        headers = {"If-Match": read.headers["ETag"]}
        answers = await asyncio.gather(
            *(acme.scim.patch(address(read), json=rename(f"n{number}"), headers=headers) for number in range(6))
        )

        assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 5}
        (winner,) = [answer for answer in answers if answer.status_code == 200]
        assert done(await acme.scim.get(address(read))) == winner.json()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_removal_and_a_change_that_mean_the_same_version(acme: Tenant, kind: str) -> None:
    """Of a removal and a change of one version at the same moment exactly one is carried out."""
    for _ in range(10):
        read = await something(acme, kind)
        headers = {"If-Match": read.headers["ETag"]}
        removal, change = await asyncio.gather(
            acme.scim.delete(address(read), headers=headers),
            acme.scim.patch(address(read), json=rename("After"), headers=headers),
        )

        assert (removal.status_code, change.status_code) in {(204, 404), (204, 412), (412, 200)}
        assert (await acme.scim.get(address(read))).status_code == (404 if removal.status_code == 204 else 200)


async def test_many_unconditional_changes_beside_conditional_ones(acme: Tenant) -> None:
    """Who requires any version at all loses nothing to others who change the same group."""
    people = await asyncio.gather(*(acme.person() for _ in range(15)))
    group = await make(acme, "Engineering")
    answers = await asyncio.gather(
        *(acme.scim.patch(f"/Groups/{group['id']}", json=add(each), headers={"If-Match": "*"}) for each in people)
    )

    assert {answer.status_code for answer in answers} == {200}
    members = done(await acme.scim.get(f"/Groups/{group['id']}"))["members"]
    assert {member["value"] for member in members} == {each["id"] for each in people}


async def test_a_large_group_is_changed_quietly(acme: Tenant) -> None:
    """The answer without a body for a large group has the new version too."""
    people = await asyncio.gather(*(acme.person() for _ in range(101)))
    group = await make(acme, "Everybody", *people)
    answer = await acme.scim.patch(f"/Groups/{group['id']}", json=rename("All"))

    assert (answer.status_code, answer.content) == (204, b"")
    read = await acme.scim.get(f"/Groups/{group['id']}?excludedAttributes=members")
    assert answer.headers["ETag"] == read.headers["ETag"] != group["meta"]["version"]
    assert answer.headers["Location"] == group["meta"]["location"]
