"""Applying a manifest to a real database: what it changes, what it leaves alone, and what it never does by halves."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from factories import ORIGIN, Callers, a_tenant, deactivation
from rollcall.directory import people
from rollcall.directory.people import Draft
from rollcall.errors import Taken
from rollcall.manifest.applying import apply, compare
from rollcall.manifest.parsing import ManifestInvalid, parse_manifest
from rollcall.tenancy import tenants
from rollcall.work import SYSTEM, open_fleet, open_work

from .conftest import Ops, undone

RULE = """
[tenants.{slug}.roles]
prefix = "dart-"
default = "member"
roles.admin = {{ label = "Admin", admin = true, names = ["admins"] }}
roles.member = {{ label = "Member", names = ["members"] }}
roles.guest = {{ label = "Guest", names = ["guests"] }}
roles.technical-admin = {{ label = "Technical admin", names = ["technical-admins"] }}
roles.financial-admin = {{ label = "Financial admin", names = ["financial-admins"] }}
"""
ADMIN = """
[[tenants.{slug}.admins]]
user_name = "maria@{slug}.test"
given_name = "Maria"
role = "admin"
"""

_WAITS = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareLock'")  # for another's transaction


def _tenant(slug: str, *parts: str, name: str = "", plan: str = "business", more: str = "") -> str:
    head = f'[tenants.{slug}]\nname = "{name or slug.title()}"\nplan = "{plan}"\n{more}\n'
    return head + "".join(part.format(slug=slug) for part in parts)


async def test_new_tenant(ops: Ops, slug: str) -> None:
    """A tenant, its rule and its admin are made; a second time there is nothing to change and nothing is recorded."""
    file = _tenant(slug, RULE, ADMIN, more='tokens = "ops"\nrate_per_second = 40')
    made = await ops.apply(file)
    assert made == [
        f"+ tenant {slug} (plan business, roles admin, member, guest, technical-admin, financial-admin)",
        f"+ admin maria@{slug}.test in {slug} (role admin)",
    ]
    entries = await ops.entries(slug)
    assert await ops.apply(file) == []
    assert await ops.entries(slug) == entries
    tenant = (await ops.callers.operator.get(f"/v1/tenants/{slug}")).json()
    assert (tenant["token_issuing"], tenant["rate_per_second"], tenant["status"]) == ("ops", 40, "active")
    maria = await ops.person(slug, f"maria@{slug}.test")
    assert (maria["active"], maria["is_admin"], maria["role_origin"]) == (True, True, "hand")


async def test_new_tenant_without_rule(ops: Ops, slug: str) -> None:
    """A tenant without a rule begins with the usual one, and an admin without a role gets its admin role."""
    file = _tenant(slug) + f'admins = [{{ user_name = "sole@{slug}.test" }}]'
    assert await ops.apply(file) == [
        f"+ tenant {slug} (plan business, roles admin, member)",
        f"+ admin sole@{slug}.test in {slug} (role admin)",
    ]


async def test_the_vendors_own_fields(ops: Ops, slug: str) -> None:
    """The external id and metadata are set and changed, said line by line before, and stay where they are left out."""
    more = f'external_id = "cus_{slug}"\nmetadata = {{ crm = "1", owner = "emea" }}'
    await ops.apply(_tenant(slug, more=more))
    tenant = (await ops.callers.operator.get(f"/v1/tenants/{slug}")).json()
    assert (tenant["external_id"], tenant["metadata"]) == (f"cus_{slug}", {"crm": "1", "owner": "emea"})
    assert await ops.apply(_tenant(slug, more=more)) == await ops.apply(_tenant(slug)) == []

    other = _tenant(slug, more=f'external_id = "new_{slug}"\nmetadata = {{ crm = "2", tier = "a" }}')
    names = f"external_id cus_{slug} -> new_{slug}, + metadata tier, - metadata owner"
    said = [f'~ tenant {slug}: {names}, metadata crm "1" -> "2"']
    assert await ops.compare(other) == said
    assert (await ops.callers.operator.get(f"/v1/tenants/{slug}")).json() == tenant
    assert await ops.apply(other) == said
    assert (await ops.callers.operator.get(f"/v1/tenants/{slug}")).json()["metadata"] == {"crm": "2", "tier": "a"}
    await ops.apply(_tenant(slug, more="metadata = {}"))
    assert (await ops.callers.operator.get(f"/v1/tenants/{slug}")).json()["metadata"] == {}


async def test_an_external_id_that_is_taken(ops: Ops, slug: str) -> None:
    """An external id that another tenant has, in the database, is named with its line and its owner."""
    await ops.apply(_tenant(f"{slug}-a", more=f'external_id = "cus_{slug}"'))
    file = _tenant(f"{slug}-b", more=f'external_id = "cus_{slug}"')
    with pytest.raises(ManifestInvalid, match=f'line 4.*"cus_{slug}" is the external_id of {slug}-a'):
        await ops.compare(file)
    await ops.callers.operator.patch(f"/v1/tenants/{slug}-a", json={"external_id": None})
    assert len(await ops.apply(file)) == 1


async def test_a_customer_and_prices(ops: Ops, slug: str) -> None:
    """Who pays, and what prices stand for, are set and changed, said before, and stay where the file is silent."""
    prices = f'[billing.prices]\nprice_{slug} = {{ plan = "business", seats = "quantity" }}\n'
    await ops.apply(f'[billing.prices]\n"old {slug}" = {{ plan = "free" }}\n')
    file = _tenant(slug, more=f'customer = "cus_{slug}"') + prices
    said = [
        f"~ prices: + price price_{slug}, - price old {slug}",
        f"+ tenant {slug} (plan business, roles admin, member)",
    ]
    assert await ops.compare(file) == await ops.apply(file) == said
    assert (await ops.callers.operator.get(f"/v1/tenants/{slug}")).json()["customer"] == f"cus_{slug}"
    assert await ops.apply(file) == await ops.apply(_tenant(slug)) == []
    other = _tenant(slug, more=f'customer = "new_{slug}"') + f'[billing.prices]\nprice_{slug} = {{ plan = "free" }}\n'
    assert await ops.apply(other) == [
        f"~ prices: price price_{slug} plan business and seats by quantity -> plan free",
        f"~ tenant {slug}: customer cus_{slug} -> new_{slug}",
    ]


async def test_what_prices_can_not_be(ops: Ops, slug: str) -> None:
    """A price for a plan that is nowhere, and another tenant's customer, are named with their lines; all or nothing."""
    await ops.apply(_tenant(f"{slug}-a", more=f'customer = "cus_{slug}"'))
    file = _tenant(f"{slug}-b", more=f'customer = "cus_{slug}"') + '[billing.prices]\nprice_1 = { plan = "golden" }\n'
    with pytest.raises(ManifestInvalid) as refused:
        await ops.apply(file)
    assert f'[tenants.{slug}-b] customer: "cus_{slug}" is the customer of {slug}-a' in refused.value.detail
    assert '[billing.prices] price_1.plan: there is no plan "golden"; the plans are: ' in refused.value.detail
    assert (await ops.callers.operator.get(f"/v1/tenants/{slug}-b")).status_code == 404


async def test_provider_sees_admins(ops: Ops, slug: str) -> None:
    """The identity provider finds an admin of the file by userName, and can't make a double of them."""
    await ops.apply(_tenant(slug, RULE, ADMIN))
    issued = await ops.callers.operator.post(f"/v1/tenants/{slug}/tokens", json={"label": "provider"})
    scim = ops.callers.bearer(issued.json()["token"], path="/scim/v2")
    found = (await scim.get("/Users", params={"filter": f'userName eq "MARIA@{slug}.test"'})).json()
    assert found["totalResults"] == 1
    assert found["Resources"][0]["name"]["givenName"] == "Maria"
    again = await scim.post(
        "/Users",
        json={"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": f"maria@{slug}.test"},
    )
    assert again.status_code == 409


async def test_dry_run(ops: Ops, slug: str) -> None:
    """A comparison says what applying would do, and does none of it."""
    file = f'[plans.dry-{slug}]\nname = "Dry"\n' + _tenant(slug, RULE, ADMIN, plan=f"dry-{slug}")
    said = await ops.compare(file)
    assert [line.split(" (")[0] for line in said] == [
        f"+ plan dry-{slug}",
        f"+ tenant {slug}",
        f"+ admin maria@{slug}.test in {slug}",
    ]
    assert (await ops.callers.operator.get(f"/v1/tenants/{slug}")).status_code == 404
    assert await ops.compare(file) == said


async def test_dry_run_of_existing(callers: Callers, ops: Ops) -> None:
    """A comparison with a tenant that is there leaves its people and its audit as they were."""
    acme = await a_tenant(callers)
    person = await acme.person(f"maria@{acme.slug}.test")
    entries = await ops.entries(acme.slug)
    file = _tenant(acme.slug, ADMIN, name=acme.slug.title())
    assert await ops.compare(file) == [f"~ admin maria@{acme.slug}.test in {acme.slug}: role member -> admin"]
    assert await ops.entries(acme.slug) == entries
    assert not (await ops.person(acme.slug, person["userName"]))["is_admin"]


async def test_plan_changed(ops: Ops, slug: str) -> None:
    """A plan's new terms are told key by key; a feature's place in the list is no difference."""
    plan = f'[plans.{slug}]\nname = "Team"\nfeatures = ["scim", "events"]\nseats = 9\n'
    assert await ops.apply(plan) == [f"+ plan {slug}"]
    assert await ops.apply(plan.replace('"scim", "events"', '"events", "scim"')) == []
    changed = plan.replace('"scim", ', "").replace("seats = 9", "rate_per_second = 0")
    assert await ops.apply(changed) == [f"~ plan {slug}: seats 9 -> any, rate_per_second 50 -> 0, - feature scim"]
    assert await ops.apply(changed) == []


async def test_tenant_changed(callers: Callers, ops: Ops) -> None:
    """Name, plan, limits, tokens and status of a tenant follow the file, and a plan is in force at the next call."""
    acme = await a_tenant(callers)
    assert (await acme.scim.get("/Users")).status_code == 200
    more = 'tokens = "ops"\nrate_per_second = 0\nstatus = "suspended"'
    file = _tenant(acme.slug, name="Acme & Sons", plan="free", more=more)
    assert await ops.apply(file) == [
        (
            f"~ tenant {acme.slug}: name {acme.slug.title()} -> Acme & Sons, plan business -> free, "
            "tokens self_service -> ops, rate_per_second the plan's -> 0"
        ),
        f"~ tenant {acme.slug}: suspended",
    ]
    assert (await acme.scim.get("/Users")).status_code == 403
    back = _tenant(acme.slug, more='status = "active"\nrate_per_second = "plan"')
    assert (await ops.apply(back))[-1] == f"~ tenant {acme.slug}: active again"
    assert (await acme.scim.get("/Users")).status_code == 200
    assert await ops.apply(back) == []


async def test_auto_applied_again(callers: Callers, ops: Ops) -> None:
    """Once `auto` has taken a profile, a file that says `auto`, or nothing, changes nothing; another word does."""
    tenant = await a_tenant(callers, profile="auto")
    asked = await tenant.scim.get("/Users", headers={"User-Agent": "Okta SCIM Client 1.0.0"})
    assert asked.status_code == 200
    await callers.app.state.context.batched_entries.flush()

    async def in_effect() -> str:
        return (await callers.operator.get(tenant.v1)).json()["profile_in_effect"]

    assert await in_effect() == "okta"
    for more in ('profile = "auto"', ""):
        assert await ops.apply(_tenant(tenant.slug, name=tenant.slug.title(), more=more)) == []
        assert await in_effect() == "okta"
    said = await ops.apply(_tenant(tenant.slug, name=tenant.slug.title(), more='profile = "default"'))
    assert said == [f"~ tenant {tenant.slug}: profile auto -> default"]
    assert await in_effect() == "default"


async def test_left_out_is_left_alone(callers: Callers, ops: Ops) -> None:
    """Tenants, people, rules and states that the file does not mention stay as they are."""
    acme, other = await a_tenant(callers), await a_tenant(callers)
    await callers.operator.post(f"{acme.v1}/suspend")
    assert await ops.apply(_tenant(acme.slug)) == []
    assert (await callers.operator.get(acme.v1)).json()["status"] == "suspended"
    assert (await callers.operator.get(other.v1)).status_code == 200
    assert (await ops.person(acme.slug, f"ada@{acme.slug}.test"))["is_admin"]


async def test_person_from_the_provider_is_appointed(callers: Callers, ops: Ops) -> None:
    """Somebody whom the provider sent before is appointed by hand instead of being doubled."""
    acme = await a_tenant(callers)
    await acme.person(f"Maria@{acme.slug}.test", displayName="Maria from the provider")
    file = _tenant(acme.slug, ADMIN)
    assert await ops.apply(file) == [f"~ admin Maria@{acme.slug}.test in {acme.slug}: role member -> admin"]
    assert await ops.apply(file) == []
    maria = await ops.person(acme.slug, f"Maria@{acme.slug}.test")
    assert (maria["is_admin"], maria["display_name"]) == (True, "Maria from the provider")
    assert (await acme.scim.get("/Users")).json()["totalResults"] == 2


async def test_appointed_over_the_provider(callers: Callers, ops: Ops) -> None:
    """Where the provider names another role, the file's hand is an override; an admin role it names is left alone."""
    acme = await a_tenant(callers)
    await acme.person(f"maria@{acme.slug}.test", roles=[{"value": "dart-guests"}])
    file = _tenant(acme.slug, ADMIN)
    assert await ops.apply(file) == [f"~ admin maria@{acme.slug}.test in {acme.slug}: role guest -> admin"]
    assert await ops.apply(file) == []
    assert (await ops.person(acme.slug, f"maria@{acme.slug}.test"))["role_origin"] == "override"


async def test_found_by_external_id(callers: Callers, ops: Ops) -> None:
    """An admin who has another userName by now is found by the externalId that the file gives."""
    acme = await a_tenant(callers)
    await acme.person(f"maria.new@{acme.slug}.test", externalId="hr-7")
    file = _tenant(acme.slug, ADMIN) + 'external_id = "hr-7"\n'
    assert await ops.apply(file) == [f"~ admin maria.new@{acme.slug}.test in {acme.slug}: role member -> admin"]
    assert await ops.apply(file) == []


async def test_role_given_by_hand_follows_the_file(ops: Ops, slug: str) -> None:
    """Another admin role in the file is given to an admin who has theirs from the file."""
    rule = RULE.replace('"Technical admin", ', '"Technical admin", admin = true, ')
    await ops.apply(_tenant(slug, rule, ADMIN))
    file = _tenant(slug, rule, ADMIN.replace('"admin"', '"technical-admin"'))
    assert await ops.apply(file) == [f"~ admin maria@{slug}.test in {slug}: role admin -> technical-admin"]
    assert await ops.apply(file) == []


async def test_deactivated_admin(callers: Callers, ops: Ops) -> None:
    """A deactivated admin is named in a warning and stays out."""
    acme = await a_tenant(callers)
    maria = await acme.person(f"maria@{acme.slug}.test")
    await acme.scim.patch(f"/Users/{maria['id']}", json=deactivation())
    entries = await ops.entries(acme.slug)
    warning = f"! admin maria@{acme.slug}.test in {acme.slug} is deactivated; reactivate them by hand"
    assert await ops.apply(_tenant(acme.slug, ADMIN)) == [warning]
    assert await ops.entries(acme.slug) == entries
    assert not (await ops.person(acme.slug, f"maria@{acme.slug}.test"))["active"]


async def test_removed_admin(callers: Callers, ops: Ops) -> None:
    """An admin whom the provider deleted is not taken in again behind its back."""
    acme = await a_tenant(callers)
    maria = await acme.person(f"maria@{acme.slug}.test")
    await acme.scim.delete(f"/Users/{maria['id']}")
    file = _tenant(acme.slug, ADMIN.replace("maria@", "MARIA@"))
    assert await ops.apply(file) == [
        f"! admin MARIA@{acme.slug}.test in {acme.slug} was removed by the identity provider; take them in by hand"
    ]
    assert (await acme.scim.get("/Users")).json()["totalResults"] == 1


async def test_rule_edited(callers: Callers, ops: Ops) -> None:
    """An edited rule is told in parts and judges everybody anew; admins of the file are admins by the new rule."""
    acme = await a_tenant(callers)
    lena = await acme.person(f"lena@{acme.slug}.test", roles=[{"value": "x-leads"}])
    assert (await ops.person(acme.slug, lena["userName"]))["role"] == "member"
    file = (
        _tenant(acme.slug)
        + f"""
[tenants.{acme.slug}.roles]
prefix = "x-"
default = "reader"
on_conflict = "hold"
sources = ["roles"]
roles.owner = {{ label = "Owner", admin = true, names = ["owners"] }}
roles.lead = {{ label = "Lead", names = ["leads"] }}
roles.reader = {{ label = "Reader" }}
roles.guest = {{ label = "Visitor", aliases = ["visitors"] }}
[[tenants.{acme.slug}.admins]]
user_name = "ada@{acme.slug}.test"
"""
    )
    assert await ops.apply(file) == [
        (
            f"~ tenant {acme.slug} role rule: prefix dart- -> x-, default member -> reader, "
            "sources groups roles -> roles, on_conflict reject -> hold, + role owner, + role lead, + role reader, "
            "- role admin, - role financial-admin, - role member, - role technical-admin, "
            'role guest has the label "Visitor" and the names none and the aliases visitors'
        ),
        f"~ admin ada@{acme.slug}.test in {acme.slug}: role reader -> owner",
    ]
    assert (await ops.person(acme.slug, lena["userName"]))["role"] == "lead"
    assert (await ops.person(acme.slug, f"ada@{acme.slug}.test"))["role"] == "owner"
    assert await ops.apply(file) == []
    assert (await acme.scim.get("/Users")).status_code == 200


async def test_all_or_nothing(callers: Callers, ops: Ops, slug: str) -> None:
    """With one tenant on a plan nobody knows, nothing of the file is applied, and every such tenant is named."""
    good = f'[plans.{slug}]\nname = "New"\n' + _tenant(slug, RULE, ADMIN, plan=slug)
    bad = _tenant(f"{slug}-b", plan="gold") + _tenant(f"{slug}-c", plan="silver")
    with pytest.raises(ManifestInvalid) as caught:
        await ops.apply(good + bad)
    line = (good + bad).split("\n").index('plan = "gold"') + 1
    first, second = caught.value.detail.split("\n")
    known = ", ".join(sorted({"business", "enterprise", "free", slug}))
    assert first.startswith(
        f'tenants.toml, line {line}, [tenants.{slug}-b] plan: there is no plan "gold"; the plans are:'
    )
    assert all(plan in first for plan in known.split(", "))
    assert second.startswith(f"tenants.toml, line {line + 4}, [tenants.{slug}-c] plan: ")
    assert (await callers.operator.get(f"/v1/tenants/{slug}")).status_code == 404
    assert slug not in [plan["key"] for plan in (await callers.operator.get("/v1/plans")).json()["data"]]


async def test_failure_in_the_middle(callers: Callers, slug: str) -> None:
    """A failure after some changes leaves none of them behind."""
    file = "".join(_tenant(f"{slug}-{number}", RULE, ADMIN) for number in range(3))

    async def apply_and_stumble() -> None:
        async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
            await apply(fleet, parse_manifest(file))
            await tenants.create(fleet, f"{slug}-1", tenants.TenantTerms(name="Double", plan="free"), role_rule={})

    with pytest.raises(Taken):
        await apply_and_stumble()
    assert (await callers.operator.get(f"/v1/tenants/{slug}-0")).status_code == 404


async def test_admin_role_by_the_stored_rule(callers: Callers, ops: Ops) -> None:
    """Without a rule in the file an admin's role has to be an admin role of the rule that the tenant has."""
    acme = await a_tenant(callers)
    with pytest.raises(ManifestInvalid) as caught:
        await ops.apply(_tenant(acme.slug, ADMIN.replace('"admin"', '"guest"')))
    assert caught.value.detail == (
        f'tenants.toml, line 9, [[tenants.{acme.slug}.admins]] number 1 role: "guest" is no admin role of this '
        "tenant; its admin roles are: admin"
    )


async def test_two_at_once(ops: Ops, slug: str) -> None:
    """Two applies at the same moment take turns: one makes everything, the other finds nothing to change."""
    file = _tenant(slug, RULE, ADMIN) + _tenant(f"{slug}-b", RULE, ADMIN)
    one, other = await asyncio.gather(ops.apply(file), ops.apply(file))
    assert sorted([len(one), len(other)]) == [0, 4]


async def test_two_tenants_filled_while_their_providers_write(callers: Callers, ops: Ops) -> None:
    """Two tenants' admins are taken in while both providers send people; each tenant has only its own."""
    acme, bolt = await a_tenant(callers), await a_tenant(callers)
    file = _tenant(acme.slug, ADMIN) + _tenant(bolt.slug, ADMIN)
    await asyncio.gather(ops.apply(file), *(tenant.person() for _ in range(10) for tenant in (acme, bolt)))
    for tenant in (acme, bolt):
        found = (await tenant.scim.get("/Users", params={"count": 50})).json()
        assert found["totalResults"] == 12
        assert {person["userName"].split("@")[1] for person in found["Resources"]} == {f"{tenant.slug}.test"}


async def test_provider_quicker_by_a_moment(callers: Callers, ops: Ops) -> None:
    """An admin whom the provider creates between the comparison and the change is appointed."""
    acme = await a_tenant(callers)
    async with open_work(callers.database, await _ref(callers, acme.slug), SYSTEM, ORIGIN) as work:
        await people.take_in(work, Draft(user_name=f"maria@{acme.slug}.test"))
        applying = asyncio.create_task(ops.apply(_tenant(acme.slug, ADMIN)))
        async with asyncio.timeout(20):
            while not await work.db.scalar(_WAITS):
                assert not applying.done()
                await asyncio.sleep(0.01)
    assert await applying == [f"+ admin maria@{acme.slug}.test in {acme.slug} (role admin)"]
    assert (await ops.person(acme.slug, f"maria@{acme.slug}.test"))["is_admin"]


async def _ref(callers: Callers, slug: str) -> Any:
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        return tenants.ref(await tenants.find(fleet, slug))


@dataclass
class Heard:
    """What was said on the way."""

    lines: list[str]

    def __call__(self, line: str) -> None:
        self.lines.append(line)


async def test_progress(callers: Callers, slug: str) -> None:
    """A long file says every fifty tenants how far it is."""
    manifest = parse_manifest("".join(_tenant(f"{slug}-{number}") for number in range(120)))
    heard = Heard([])
    async with undone(callers.database) as fleet:
        await apply(fleet, manifest, progress=heard)
        assert await compare(fleet, manifest) == []
    assert heard.lines == [
        "compared 50 of 120 tenants",
        "compared 100 of 120 tenants",
        "applied 50 of 120 tenants",
        "applied 100 of 120 tenants",
    ]


async def test_within_has_a_tenants_rights(callers: Callers) -> None:
    """Within a tenant a fleet sees that tenant's people alone; outside it sees nobody's."""
    acme, bolt = await a_tenant(callers), await a_tenant(callers)
    async with undone(callers.database) as fleet:
        for tenant in (acme, bolt):
            async with fleet.within(await _ref(callers, tenant.slug)) as work:
                total, found = await people.every(work, limit=10)
                assert (total, found[0].account.user_name) == (1, f"ada@{tenant.slug}.test")
                assert await work.db.scalar(text("SELECT count(*) FROM accounts")) == 1
        assert await fleet.db.scalar(text("SELECT current_setting('rollcall.tenant', true)")) == ""
        with pytest.raises(ProgrammingError, match="permission denied for table accounts"):
            await fleet.db.execute(text("SELECT count(*) FROM accounts"))


async def test_within_writes_under_the_right_role(callers: Callers) -> None:
    """A tenant changed before, within and after is stored by the role that may."""
    acme = await a_tenant(callers)
    async with open_fleet(callers.database, SYSTEM, ORIGIN) as fleet:
        row = await tenants.find(fleet, acme.slug)
        row.name = "Before"
        async with fleet.within(tenants.ref(row)) as work:
            row.role_rule_version += 1
            assert (await tenants.own(work)).name == "Before"
        row.name = "After"
    stored = (await callers.operator.get(acme.v1)).json()
    assert stored["name"] == "After"


async def test_within_keeps_the_fleets_rights_out(callers: Callers) -> None:
    """What only the fleet may change is refused within a tenant."""
    acme = await a_tenant(callers)
    async with undone(callers.database) as fleet:
        row = await tenants.find(fleet, acme.slug)
        with pytest.raises(ProgrammingError, match="permission denied for table tenants"):
            async with fleet.within(tenants.ref(row)):
                row.name = "Sneaked"


async def test_the_deputy(callers: Callers, ops: Ops) -> None:
    """The file names the deputy, says what is in the way of one, and takes one away; left out, they stay."""
    acme = await a_tenant(callers)
    maria = await acme.person("maria@acme.test")
    bo = await acme.person("bo@acme.test", active=False)

    def naming(user_name: str) -> str:
        return _tenant(acme.slug, RULE, more=f'last_admin = "keep_one"\ndeputy = "{user_name}"')

    named = [f"~ tenant {acme.slug}: last_admin obey -> keep_one", f"~ tenant {acme.slug}: deputy maria@acme.test"]
    assert await ops.compare(naming("Maria@acme.test")) == await ops.apply(naming("Maria@acme.test")) == named
    assert (await callers.operator.get(acme.v1)).json()["deputy_id"] == maria["id"]
    assert await ops.apply(naming("maria@acme.test")) == await ops.apply(_tenant(acme.slug, RULE)) == []
    for name, why in (
        ("nobody@acme.test", "is not in its directory; apply the file again once their provider has sent them"),
        (bo["userName"], "is deactivated; name somebody else"),
        (acme.admin["user_name"], "is an admin; name somebody who is none"),
    ):
        assert await ops.apply(naming(name)) == [f"! deputy {name} in {acme.slug} {why}"]
    assert await ops.apply(naming("")) == [f"~ tenant {acme.slug}: no deputy any more"]
    assert await ops.apply(naming("")) == []
    assert len(await acme.audit(action="tenant.deputy_named")) == 2


async def test_a_deputy_who_is_an_admin_of_the_file(ops: Ops) -> None:
    """A file that names one and the same as admin and as deputy is refused, with the line."""
    more = 'deputy = "Ada@new.test"\nadmins = [{ user_name = "ada@new.test" }]'
    with pytest.raises(ManifestInvalid, match="is an admin in this file; the deputy is somebody who is none"):
        await ops.compare(_tenant("new-deputy", RULE, more=more))


async def test_the_last_admin(callers: Callers, ops: Ops) -> None:
    """The file says what becomes of the admin role; an edit of a rule that leaves no admin makes the deputy one."""
    acme = await a_tenant(callers)
    deputy = await acme.person()
    await callers.operator.put(f"{acme.v1}/deputy", json={"person": deputy["id"]})
    chosen = _tenant(acme.slug, RULE, more='last_admin = "keep_one"')
    assert await ops.apply(chosen) == [f"~ tenant {acme.slug}: last_admin obey -> keep_one"]
    assert await ops.apply(chosen) == await ops.apply(_tenant(acme.slug, RULE)) == []
    other = RULE.replace("admin = true, ", "").replace('"Guest"', '"Guest", admin = true')
    await ops.apply(_tenant(acme.slug, other))
    found = await ops.person(acme.slug, deputy["userName"])
    assert (found["is_admin"], found["role"]) == (True, "guest")
    assert len(await acme.audit(action="tenant.deputy_appointed")) == 1
