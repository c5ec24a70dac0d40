"""Whatever comes in whatever order: leavers are cut off in every state, and after a lapse nothing is given."""

from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import ORIGIN, USER, Callers, Tenant, a_tenant, patch_op
from fuzz.bounds import bounded
from rollcall.tenancy import plans
from rollcall.tenancy.plans import PlanTerms
from rollcall.work import SYSTEM, open_fleet

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
WITH_SCIM = {
    "business": None,
    "two-seats": PlanTerms(name="Two seats", features=("scim",), seats=2, rate_per_second=0),
    "two-and-more": PlanTerms(name="And more", features=("scim",), seats=2, seat_policy="overage", rate_per_second=0),
}
WITHOUT = {
    "bare": PlanTerms(name="Bare", rate_per_second=0),
    "bare-seats": PlanTerms(name="Bare, one seat", seats=1, rate_per_second=0),
}
"""Plans that a tenant is put on, by a number; those that are None are there."""
STATES = {
    "active": {},
    "grace": {"offboarding_from": "2099-01-01T00:00:00Z"},
    "offboarding_only": {"offboarding_from": "2026-01-01T00:00:00Z"},
}
OF_THE_OWNER = {"the owner is demoted": "demote", "the owner is appointed": "appoint"}
LEAVING = ("leave by PATCH", "leave by PUT", "leave and be renamed", "be deleted")
SEATS: dict[str, dict[str, Any]] = {
    "one seat": {"value": 1, "reason": "tested"},
    "many seats": {"value": 1_000, "reason": "tested"},
}
GIFTS = ("create", "activate", "rename", "put in", "replace members", "make a group", "call a group otherwise")


@dataclass(frozen=True)
class Step:
    """Something that is asked for, or a state that the tenant comes into; who and which are numbers."""

    what: str
    who: int
    which: int


steps = st.builds(
    Step,
    what=st.sampled_from([*STATES, "offboarding_only", *OF_THE_OWNER, *SEATS, *LEAVING, *GIFTS, *GIFTS, "take out"]),
    who=st.integers(0, 20),
    which=st.integers(0, 20),
)


@dataclass
class World:
    """A tenant with people and groups, as its provider reads them."""

    acme: Tenant
    owner: dict[str, Any]
    """The admin who owns the token."""
    state: str = "active"
    made: int = 0

    async def enter(self, state: str, which: int = 0) -> None:
        """Bring the tenant into a state, by one of the plans; with the answer it counts."""
        operator, v1 = self.acme.callers.operator, self.acme.v1
        those = [*WITH_SCIM] if state == "active" else [*WITHOUT]
        plan = those[which % len(those)]
        answers = [await operator.patch(v1, json={"plan": plan})]
        if state != "active":
            answers.append(await operator.patch(f"{v1}/lapse", json=STATES[state]))
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert answers[-1].json()["lapse"]["state"] == state
        self.state = state

    async def takes_only(self) -> bool:
        """Whether only what takes away passes: by the plan, or as the owner is no longer an active admin."""
        tokens = (await self.acme.callers.operator.get(f"{self.acme.v1}/tokens")).json()["data"]
        owned = next(token for token in tokens if token["owner_id"] == self.owner["id"])
        return owned["state"] in ("takes_only", "restricted")

    async def is_full(self) -> bool:
        """Whether nobody more is let in, for no seat is left."""
        seats = (await self.acme.callers.operator.get(f"{self.acme.v1}/seats")).json()
        return seats["policy"] == "refuse" and seats["allowed"] is not None and seats["used"] >= seats["allowed"]

    async def read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Everybody, and all groups with their members, by their ids."""
        people = (await self.acme.scim.get("/Users", params={"count": 100})).json()["Resources"]
        groups = (await self.acme.scim.get("/Groups", params={"count": 100})).json()["Resources"]
        said = [{name: value for name, value in each.items() if name not in ("meta", "groups")} for each in people]
        return {each["id"]: each for each in said}, {each["id"]: each for each in groups}

    async def ask(self, step: Step, person: dict[str, Any], group: dict[str, Any]) -> httpx.Response:  # noqa: PLR0911
        """Have the provider ask for what the step says."""
        self.made += 1
        scim, user, of = self.acme.scim, f"/Users/{person['id']}", f"/Groups/{group['id']}"
        body = {"schemas": [USER], "userName": person["userName"]}
        active = {"op": "replace", "path": "active", "value": step.what == "activate"}
        title = {"op": "replace", "path": "title", "value": f"Number {self.made}"}
        members = [{"value": person["id"]}]
        match step.what:
            case "leave by PATCH" | "activate":
                return await scim.patch(user, json=patch_op(active))
            case "leave by PUT":
                return await scim.put(user, json={**body, "active": False, "title": f"Number {self.made}"})
            case "leave and be renamed":
                return await scim.patch(user, json=patch_op(title, active))
            case "be deleted":
                return await scim.delete(user)
            case "create":
                return await scim.post("/Users", json={**body, "userName": f"{self.acme.slug}-{self.made}"})
            case "rename":
                return await scim.patch(user, json=patch_op(title))
            case "put in":
                return await scim.patch(of, json=patch_op({"op": "add", "path": "members", "value": members}))
            case "replace members":
                return await scim.patch(of, json=patch_op({"op": "replace", "path": "members", "value": members}))
            case "take out":
                taken = {"op": "remove", "path": f'members[value eq "{person["id"]}"]'}
                return await scim.patch(of, json=patch_op(taken))
            case "make a group":
                group = {"schemas": [GROUP], "displayName": f"group {self.made}"}
                return await scim.post("/Groups", json=group)
            case _:
                name = {"op": "replace", "path": "displayName", "value": f"another {self.made}"}
                return await scim.patch(of, json=patch_op(name))

    async def happen(self, step: Step) -> None:
        """Carry a step out, and see what came of it."""
        if step.what in STATES:
            await self.enter(step.what, step.which)
            return
        if step.what in SEATS:
            set_to = f"{self.acme.v1}/overrides/seats"
            assert (await self.acme.callers.operator.put(set_to, json=SEATS[step.what])).status_code == 200
            return
        if step.what in OF_THE_OWNER:
            await self.acme.callers.operator.post(f"{self.acme.v1}/people/{self.owner['id']}/{OF_THE_OWNER[step.what]}")
            return
        takes_only, full = await self.takes_only(), await self.is_full()
        assert takes_only or self.state != "offboarding_only"
        people, groups = await self.read()
        if not people:
            return  # all of them were deleted
        person = list(people.values())[step.who % len(people)]
        group = list(groups.values())[step.which % len(groups)]
        answer = await self.ask(step, person, group)
        after, groups_after = await self.read()
        if step.what in LEAVING:
            assert after.get(person["id"], {"active": False})["active"] is False, (self.state, step, answer.text)
        if takes_only:
            assert answer.status_code in (200, 204, 403), answer.text
            nothing_given(people, groups, after, groups_after)
        elif full and (step.what == "create" or (step.what == "activate" and not person["active"])):
            assert answer.status_code == 403, answer.text
            assert " seats, and " in answer.json()["detail"]
            nothing_given(people, groups, after, groups_after)
        else:
            assert answer.is_success, answer.text


def nothing_given(
    people: dict[str, Any], groups: dict[str, Any], after: dict[str, Any], groups_after: dict[str, Any]
) -> None:
    """Check that nobody and no group has anything that was not there before."""
    for key, person in after.items():
        assert person["active"] in (people[key]["active"], False)
        assert {**person, "active": None} == {**people[key], "active": None}
    for key, group in groups_after.items():
        assert group["displayName"] == groups[key]["displayName"]
        assert values(group) <= values(groups[key])


def values(group: dict[str, Any]) -> set[str]:
    return {member["value"] for member in group.get("members", ())}


@pytest.mark.bound(300)
@given(story=st.lists(steps, min_size=15, max_size=25))
@bounded(8)
async def test_leavers_leave_and_nothing_is_given(callers: Callers, story: list[Step]) -> None:
    """Leavers are out in each state, by each plan, whatever seats and owner; after a lapse nothing is given.

    A seat is refused to newcomers only, and only when none is left.
    """
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        for key, terms in (WITH_SCIM | WITHOUT).items():
            if terms is not None:
                await plans.define(fleet, key, terms)
    acme = await a_tenant(callers, owner_leaves="offboarding_only")
    appointed = await callers.operator.post(f"{acme.v1}/people", json={"user_name": "ola", "role": "admin"})
    token = await acme.issue_token(owner=appointed.json()["id"])
    world = World(replace(acme, scim=callers.bearer(token["token"], path="/scim/v2")), appointed.json())
    people = [await world.acme.person() for _ in range(5)]
    for name in ("Sales", "dart-guests"):
        members = [{"value": person["id"]} for person in people[:3]]
        body = {"schemas": [GROUP], "displayName": name, "members": members}
        assert (await world.acme.scim.post("/Groups", json=body)).status_code == 201
    for step in story:
        await world.happen(step)
    await world.enter("active")
    assert (await world.acme.scim.get("/Users")).status_code == 200, "the token is the same"
