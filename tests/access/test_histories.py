"""Whatever happens to people in whatever order: what was closed is never good again, and nothing else is closed."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from authenticator import Authenticator, registered, signed_in
from factories import USER, Callers, Tenant, a_tenant, deactivation, patch_op

NAMES = ("maria", "noor", "pedro")
EXTERNAL_IDS = (None, "e-1", "e-2")
REACTIVATION = patch_op({"op": "replace", "path": "active", "value": True})


@dataclass
class Person:
    """What a history knows of an account."""

    id: str
    scim_id: str | None
    external_id: str | None
    active: bool = True


@dataclass
class Credential:
    """Something that opened once: by its text, its device or its name."""

    owner: Person
    live: bool = True
    text: str | None = None
    device: Authenticator | None = None
    external: dict[str, Any] | None = None


@dataclass
class Ground:
    """Where a history takes place, from a thread that knows of no event loop."""

    callers: Callers
    loop: asyncio.AbstractEventLoop
    tried: list[str] = field(default_factory=list[str])
    """What happened over all histories, to see that each rule was worth having."""

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(doing, self.loop).result(timeout=30)


chosen = st.integers(min_value=0, max_value=10_000)


class Histories(RuleBasedStateMachine):
    """A tenant whose people come, go and come back, and are given credentials of every class on the way."""

    ground: ClassVar[Ground]

    def __init__(self) -> None:
        super().__init__()
        self.tenant: Tenant = self.ground.run(a_tenant(self.ground.callers))
        self.people: list[Person] = []
        self.credentials: list[Credential] = []

    @rule(name=st.sampled_from(NAMES), external_id=st.sampled_from(EXTERNAL_IDS))
    def provision(self, name: str, external_id: str | None) -> None:
        """The provider creates somebody: new, back under their externalId, or a namesake of somebody who left."""
        body = {"schemas": [USER], "userName": name} | ({"externalId": external_id} if external_id else {})
        answer = self.ground.run(self.tenant.scim.post("/Users", json=body))
        if answer.status_code == 409:
            self.saw("name taken")
            return
        assert answer.status_code == 201, answer.text
        account = self.looked_up(answer.json()["id"])
        known = next((person for person in self.people if person.id == account["id"]), None)
        if known is None:
            self.saw("new")
            self.people.append(Person(account["id"], answer.json()["id"], external_id))
            return
        self.saw("relinked")
        assert known.scim_id is None
        assert external_id is not None, "a namesake inherited an account"
        assert known.external_id == external_id
        known.scim_id, known.active = answer.json()["id"], True

    @precondition(lambda self: self.attached())
    @rule(who=chosen, way=st.sampled_from(["PATCH", "PUT", "DELETE", "by hand"]))
    def leave(self, who: int, way: str) -> None:
        """Somebody leaves, one way or another; perhaps they had left before."""
        person = self.attached()[who % len(self.attached())]
        address = f"/Users/{person.scim_id}"
        match way:
            case "PATCH":
                answer = self.ground.run(self.tenant.scim.patch(address, json=deactivation()))
            case "PUT":
                document = self.ground.run(self.tenant.scim.get(address)).json() | {"active": False}
                answer = self.ground.run(self.tenant.scim.put(address, json=document))
            case "DELETE":
                answer = self.ground.run(self.tenant.scim.delete(address))
                person.scim_id = None
            case _:
                address = f"{self.tenant.v1}/people/{person.id}/deactivate"
                answer = self.ground.run(self.ground.callers.operator.post(address))
        assert answer.status_code in (200, 204), answer.text
        self.saw(f"left by {way}")
        person.active = False
        self.ended(person)

    @precondition(lambda self: self.attached() and self.detached())
    @rule(who=chosen, whom=chosen)
    def link(self, who: int, whom: int) -> None:
        """An admin says that somebody is a person who was removed before."""
        person, former = self.attached()[who % len(self.attached())], self.detached()[whom % len(self.detached())]
        address = f"{self.tenant.v1}/people/{person.id}/link"
        answer = self.ground.run(self.ground.callers.operator.post(address, json={"former": former.id}))
        if self.meant_by(former.id) not in (former, person):
            assert (answer.status_code, answer.json()["code"]) == (409, "not_linkable"), answer.text
            self.saw("id in use")
            return
        assert answer.status_code == 200, answer.text
        assert answer.json()["id"] == former.id
        self.saw("linked")
        former.scim_id, former.active, former.external_id = person.scim_id, person.active, person.external_id
        person.scim_id, person.active, person.external_id = None, False, None
        self.ended(person)

    @precondition(lambda self: self.attached())
    @rule(who=chosen, by_hand=st.booleans())
    def return_(self, who: int, by_hand: bool) -> None:
        """Somebody is let in again; perhaps they had never left."""
        person = self.attached()[who % len(self.attached())]
        if by_hand:
            address = f"{self.tenant.v1}/people/{person.id}/reactivate"
            answer = self.ground.run(self.ground.callers.operator.post(address))
        else:
            answer = self.ground.run(self.tenant.scim.patch(f"/Users/{person.scim_id}", json=REACTIVATION))
        assert answer.status_code == 200, answer.text
        self.saw("returned" if not person.active else "was here")
        person.active = True

    @precondition(lambda self: self.people)
    @rule(who=chosen, kind=st.sampled_from(["session", "token", "provider's token", "passkey", "external"]))
    def give(self, who: int, kind: str) -> None:
        """Somebody is given a credential; who may not come in gets none."""
        person = self.meant_by(self.people[who % len(self.people)].id)
        credential = Credential(person)
        refusal = self.ground.run(self.refusal_of(kind, credential))
        if refusal is not None:
            assert not person.active, refusal
            assert "person_inactive" in refusal
            self.saw("refused")
            return
        assert person.active, f"somebody inactive was given a {kind}"
        self.saw(kind)
        self.credentials.append(credential)

    async def refusal_of(self, kind: str, credential: Credential) -> str | None:
        """Open a credential of this kind for its owner; what the product heard instead, if it was refused."""
        try:
            await self.open(kind, credential)
        except AssertionError as refused:
            return str(refused)
        return None

    async def open(self, kind: str, credential: Credential) -> None:
        """Open a credential of this kind for its owner; fails with what the refusal says."""
        person = {"id": credential.owner.id}
        match kind:
            case "session":
                credential.text = await self.tenant.session(person)
            case "token":
                credential.text = await self.tenant.personal_token(person)
            case "provider's token":
                await self.ground.callers.operator.post(f"{self.tenant.v1}/people/{person['id']}/appoint")
                credential.text = (await self.tenant.issue_token(owner=person["id"]))["token"]
            case "passkey":
                answer = await self.ground.callers.product.post(
                    f"{self.tenant.v1}/people/{person['id']}/passkeys/begin"
                )
                assert answer.status_code == 200, answer.text
                credential.device = await registered(self.tenant, person)
            case _:
                credential.external = await self.tenant.external(person)

    @precondition(lambda self: self.texts())
    @rule(which=chosen)
    def hand_back(self, which: int) -> None:
        """The holder of a session or token ends it; perhaps it was over."""
        credential = self.texts()[which % len(self.texts())]
        answer = self.ground.run(self.ground.callers.product.post("/oauth/revoke", data={"token": credential.text}))
        assert answer.status_code == 200, answer.text
        self.saw("handed back")
        credential.live = False

    @precondition(lambda self: any(credential.device for credential in self.credentials))
    @rule(which=chosen)
    def sign_in(self, which: int) -> None:
        """Somebody tries a passkey; it opens a session while it is live, and nothing afterwards."""
        held = [credential for credential in self.credentials if credential.device is not None]
        self.tried_out(held[which % len(held)])

    @invariant()
    def what_is_live_is_what_should_be(self) -> None:
        """Introspection says of every credential there ever was what its history says."""
        assert self.ground.run(self.said()) == [credential.live for credential in self.asked()]

    async def said(self) -> list[bool]:
        """What the product hears about every session, token and external credential."""
        body = {"tokens": [credential.text for credential in self.texts()]}
        externals = [each.external for each in self.credentials if each.external is not None]
        answer, rest = await asyncio.gather(
            self.ground.callers.product.post("/oauth/introspect/batch", json=body),
            asyncio.gather(*(self.tenant.is_good(each) for each in externals)),
        )
        return [each["active"] for each in answer.json()["answers"]] + rest

    def asked(self) -> list[Credential]:
        """The credentials in the order of what is said about them."""
        return self.texts() + [credential for credential in self.credentials if credential.external is not None]

    def teardown(self) -> None:
        """In the end every passkey is tried, the closed ones after their people came back."""
        for person in self.attached():
            address = f"{self.tenant.v1}/people/{person.id}/reactivate"
            self.ground.run(self.ground.callers.operator.post(address))
        for credential in [each for each in self.credentials if each.device is not None]:
            self.tried_out(credential)
        self.what_is_live_is_what_should_be()

    def tried_out(self, credential: Credential) -> None:
        """Sign in with a passkey, and see that it does what it should."""
        assert credential.device is not None
        answer = self.ground.run(signed_in(self.tenant, credential.device))
        assert answer.status_code == (201 if credential.live else 403), answer.text
        self.saw("signed in" if credential.live else "not signed in")
        if credential.live:
            self.credentials.append(Credential(credential.owner, text=answer.json()["token"]))

    def meant_by(self, given: str) -> Person:
        """Who is found by this id: the person whose resource has it, else the account's."""
        return min((each for each in self.people if given in (each.id, each.scim_id)), key=lambda x: x.scim_id != given)

    def ended(self, person: Person) -> None:
        """Nothing that this account opened is good any more."""
        for credential in self.credentials:
            if credential.owner is person:
                credential.live = False

    def detached(self) -> list[Person]:
        """Those whose resource was removed."""
        return [person for person in self.people if person.scim_id is None]

    def attached(self) -> list[Person]:
        """Those whom the provider has a resource of."""
        return [person for person in self.people if person.scim_id is not None]

    def texts(self) -> list[Credential]:
        """The sessions and tokens, dead ones too."""
        return [credential for credential in self.credentials if credential.text is not None]

    def looked_up(self, scim_id: str) -> dict[str, Any]:
        """The account behind a SCIM resource."""
        return self.ground.run(self.ground.callers.operator.get(f"{self.tenant.v1}/people/{scim_id}")).json()

    def saw(self, what: str) -> None:
        self.ground.tried.append(what)


async def test_nothing_closed_is_ever_good_again(callers: Callers) -> None:
    """Over random histories of people who come, go, return and are linked, what is live is what should be."""
    ground = Ground(callers, asyncio.get_running_loop())
    machine = type("OnThisGround", (Histories,), {"ground": ground})
    bounds = settings(
        max_examples=15,
        stateful_step_count=25,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=bounds)
    for what in (
        "relinked",
        "linked",
        "new",
        "name taken",
        "returned",
        "refused",
        "not signed in",
        "signed in",
        "left by DELETE",
    ):
        assert what in ground.tried, f"no history had this: {what}"
