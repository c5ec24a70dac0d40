"""A directory lives: groups are made, nested, filled, renamed and deleted in any order, and stay what was asked for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from api.expect import ERROR
from factories import Callers, Tenant, a_tenant, patch_op
from fuzz.bounds import bounded

BOUNDED = bounded(8)
PLAIN, GUESTS = ["Tours", "Berlin", "tours"], ["dart-guests", "DART_GUEST"]
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Step:
    """Something that happens: to which group, with which members, and in which of the shapes there are."""

    what: str
    group: int
    members: tuple[int, ...]
    name: str
    shape: int


OFTEN = ["add"] * 4 + ["remove"] * 3 + ["replace"] * 2 + ["rename"] * 2
steps = st.builds(
    Step,
    what=st.sampled_from([*OFTEN, "put", "spoil", "found", "dissolve", "join", "leave"]),
    group=st.integers(0, 20),
    members=st.lists(st.integers(0, 20), min_size=1, max_size=3).map(tuple),
    name=st.sampled_from(PLAIN + GUESTS),
    shape=st.integers(0, 2),
)


@dataclass
class Group:
    """What a group should be."""

    name: str
    members: set[str] = field(default_factory=set[str])


@dataclass
class Directory:
    """The people and groups of a tenant, beside what they should be."""

    tenant: Tenant
    people: list[str] = field(default_factory=list[str])
    groups: dict[str, Group] = field(default_factory=dict[str, Group])
    gone: list[str] = field(default_factory=lambda: [NOBODY])

    async def happen(self, step: Step) -> None:
        """Carry *step* out, and check what is answered."""
        group = sorted(self.groups)[step.group % len(self.groups)]
        candidates = [*self.people, *self.people, *self.groups, *self.gone[-1:]]
        members = [candidates[number % len(candidates)] for number in step.members]
        match step.what:
            case "add":
                await self.add(group, members, step.shape)
            case "remove":
                await self.remove(group, members, step.shape)
            case "replace":
                whole = {"op": "replace", "path": "members", "value": [{"value": each} for each in members]}
                await self.patch(group, [whole], set(members))
            case "put":
                await self.put(group, members)
            case "rename":
                await self.rename(group, step.name, step.shape)
            case "spoil":
                await self.spoil(group, members, step.name)
            case "found":
                await self.found(step.name, [each for each in members if each not in self.gone])
            case "dissolve":
                await self.dissolve(group)
            case "join":
                self.people.append((await self.tenant.person())["id"])
            case _:
                await self.leave(self.people[step.group % len(self.people)])

    async def add(self, group: str, members: Sequence[str], shape: int) -> None:
        """Members come, as objects, as bare strings or one at a time; whoever is there already stays."""
        objects = [{"value": each, "$ref": None} for each in members]
        shapes: list[list[dict[str, Any]]] = [
            [{"op": "Add", "path": "members", "value": objects}],
            [{"op": "add", "value": {"members": list(members)}}],
            [{"op": "add", "path": "members", "value": each} for each in objects],
        ]
        await self.patch(group, shapes[shape], self.groups[group].members | set(members))

    async def remove(self, group: str, members: Sequence[str], shape: int) -> None:
        """Members go, by a list, by one path each or by one for all; whoever is not there is no mistake."""
        chosen = " or ".join(f'value eq "{each}"' for each in members)
        shapes: list[list[dict[str, Any]]] = [
            [{"op": "Remove", "path": "members", "value": [{"value": each} for each in members]}],
            [{"op": "remove", "path": f'members[value eq "{each}"]'} for each in members],
            [{"op": "remove", "path": f"members[{chosen}]"}],
        ]
        await self.patch(group, shapes[shape], self.groups[group].members - set(members))

    async def patch(self, group: str, operations: Sequence[dict[str, Any]], wanted: set[str]) -> None:
        """Change the members to those *wanted*."""
        answer = await self.tenant.scim.patch(f"/Groups/{group}", json=patch_op(*operations))
        self.settle(answer, group, wanted)

    async def put(self, group: str, members: Sequence[str]) -> None:
        """Write the group anew, with these members."""
        body = {"displayName": self.groups[group].name, "members": [{"value": each} for each in members]}
        self.settle(await self.tenant.scim.put(f"/Groups/{group}", json=body), group, set(members))

    def settle(self, answer: httpx.Response, group: str, wanted: set[str]) -> None:
        """Expect a refusal where new members are nobody or would end in a circle, and otherwise what was asked for."""
        new = wanted - self.groups[group].members
        if new & set(self.gone) or new & self.around([group]):
            check_refused(answer)
            return
        assert answer.status_code == 200, answer.text
        assert ids(answer.json().get("members", [])) == wanted
        self.groups[group].members = wanted

    async def rename(self, group: str, name: str, shape: int) -> None:
        """A group gets another name, and whoever is in it the role that goes with it."""
        shapes: list[dict[str, Any]] = [
            {"op": "replace", "value": {"id": group, "displayName": name}},
            {"op": "Replace", "path": "displayName", "value": name},
            {"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:displayname", "value": name},
        ]
        answer = await self.tenant.scim.patch(f"/Groups/{group}", json=patch_op(shapes[shape]))
        assert answer.status_code == 200, answer.text
        self.groups[group].name = name

    async def spoil(self, group: str, members: Sequence[str], name: str) -> None:
        """One operation that can't be carried out spoils the others."""
        operations: list[dict[str, Any]] = [
            {"op": "replace", "path": "displayName", "value": f"{name} spoilt"},
            {"op": "remove", "path": "members"},
            {"op": "add", "path": "members", "value": [*members, NOBODY]},
        ]
        check_refused(await self.tenant.scim.patch(f"/Groups/{group}", json=patch_op(*operations)))

    async def found(self, name: str, members: Sequence[str] = ()) -> None:
        """A group is made."""
        body = {"displayName": name, "members": [{"value": each} for each in members]}
        answer = await self.tenant.scim.post("/Groups", json=body)
        assert answer.status_code == 201, answer.text
        self.groups[answer.json()["id"]] = Group(name, set(members))

    async def dissolve(self, group: str) -> None:
        """A group is deleted, and is in no other any more; the last one stays."""
        if len(self.groups) > 1:
            assert (await self.tenant.scim.delete(f"/Groups/{group}")).status_code == 204
            del self.groups[group]
            self.forget(group)

    async def leave(self, person: str) -> None:
        """Somebody is deleted, and in no group any more; the last one stays."""
        if len(self.people) > 1:
            assert (await self.tenant.scim.delete(f"/Users/{person}")).status_code == 204
            self.people.remove(person)
            self.forget(person)

    def forget(self, gone: str) -> None:
        """What is true of somebody, or some group, that is no more."""
        self.gone.append(gone)
        for group in self.groups.values():
            group.members.discard(gone)

    def around(self, groups: Iterable[str]) -> set[str]:
        """These groups and all that they are in."""
        inside, reached = set[str](), set(groups)
        while reached - inside:
            inside |= reached
            reached = {key for key, group in self.groups.items() if group.members & inside}
        return inside

    async def check(self) -> None:
        """Check that groups, people and roles are what they should be."""
        listed = (await self.tenant.scim.get("/Groups")).json()["Resources"]
        stored = {each["id"]: Group(each["displayName"], ids(each.get("members", []))) for each in listed}
        assert stored == self.groups

        roles = await self.roles()
        for person in (await self.tenant.scim.get("/Users")).json()["Resources"]:
            direct = {key for key, group in self.groups.items() if person["id"] in group.members}
            around = self.around(direct)
            told = {(each["value"], each["type"]) for each in person.get("groups", [])}
            assert told == {(key, "direct" if key in direct else "indirect") for key in around}
            guest = any(self.groups[key].name in GUESTS for key in around)
            if person["id"] in self.people:
                assert roles[person["id"]] == ("guest" if guest else "member")

    async def roles(self) -> dict[str, str]:
        """Everybody's role, as the product hears of it."""
        answer = await self.tenant.callers.operator.get(f"{self.tenant.v1}/people", params={"limit": 100})
        return {each["id"]: each["role"] for each in answer.json()["data"]}


def ids(members: Sequence[dict[str, Any]]) -> set[str]:
    """The ids of members, of which there is one each."""
    found = [each["value"] for each in members]
    assert len(found) == len(set(found))
    return set(found)


def check_refused(answer: httpx.Response) -> None:
    """Check that a change was refused in the protocol's own words."""
    assert answer.status_code == 400, answer.text
    assert answer.json()["schemas"] == [ERROR]
    assert answer.json()["detail"]


@BOUNDED
@given(life=st.lists(steps, min_size=12, max_size=16))
async def test_a_directory(callers: Callers, life: list[Step]) -> None:
    """Whatever happens in whatever order, groups, people and roles are what was asked for."""
    directory = Directory(await a_tenant(callers))
    for number in range(4):
        directory.people.append((await directory.tenant.person())["id"])
        await directory.found((PLAIN + GUESTS)[number], directory.people[-1:])

    for step in life:
        await directory.happen(step)
        await directory.check()
