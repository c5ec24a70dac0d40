"""Closing what a file does not name: only what was confirmed by its number, and nothing is deleted."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from architecture.databases import scratch
from cli.shell import Shell, at_terminal
from factories import Callers, a_tenant, alive, make_callers
from rollcall import tables
from rollcall.app import create_app
from rollcall.cli.embedded import Engines
from rollcall.manifest.applying import ClosesOthers, apply, closings, compare
from rollcall.manifest.changes import PlanChanged
from rollcall.manifest.parsing import parse_manifest
from rollcall.settings import Settings
from rollcall.tenancy import plans, tenants
from rollcall.tenancy.plans import PlanClosed, PlanTerms

from .conftest import Ops, undone

FILE = """\
[plans.business]
name = "Business"
features = ["scim", "events"]
rate_per_second = 0

[tenants.{kept}]
name = "{name}"
plan = "business"
"""


@pytest_asyncio.fixture
async def alone(engines: Engines, settings: Settings) -> AsyncGenerator[tuple[Callers, Shell]]:
    """An installation of its own: everybody else's tenants would be closed too."""
    async with scratch(engines, settings) as there:
        await tables.migrate(there)
        async with alive(create_app(there)) as app, make_callers(app, app.state.database, there.public_url) as callers:
            yield callers, Shell(there)


async def test_a_closed_plan(callers: Callers, ops: Ops, slug: str) -> None:
    """No tenant is put on a closed plan; those that are on it stay and are changed, and it opens again."""
    plan = f'[plans.{slug}]\nname = "Old"\nfeatures = ["scim"]\n'
    tenant = f'[tenants.{slug}]\nname = "{slug.title()}"\nplan = "{slug}"\n'
    made = await ops.apply(plan + "closed = true\n" + tenant)
    assert made[0] == f"+ plan {slug}"
    assert await ops.apply(plan + "closed = true\n" + tenant) == []
    acme = await a_tenant(callers)
    refused = await callers.operator.patch(acme.v1, json={"plan": slug})
    assert (refused.status_code, refused.json()["code"]) == (409, "plan_closed")
    assert "Choose another plan" in refused.json()["detail"]
    new = {"slug": f"{slug}-new", "name": "New", "plan": slug}
    assert (await callers.operator.post("/v1/tenants", json=new)).json()["code"] == "plan_closed"
    assert (await callers.operator.patch(f"/v1/tenants/{slug}", json={"name": "Renamed"})).status_code == 200
    with pytest.raises(PlanClosed):
        await ops.apply(f'[tenants.{slug}-c]\nname = "C"\nplan = "{slug}"\n')
    assert await ops.apply(plan) == [f"~ plan {slug}: open again"]
    assert (await callers.operator.patch(acme.v1, json={"plan": slug})).status_code == 200


async def test_what_closes(callers: Callers, slug: str) -> None:
    """Tenants and plans that the file does not name close, those that it names and those that are closed don't."""
    acme, gone = await a_tenant(callers), await a_tenant(callers)
    text = FILE.format(kept=acme.slug, name=acme.slug.title())
    async with undone(callers.database) as fleet:
        await plans.define(fleet, f"{slug}-old", PlanTerms(name="Old", features=("scim",)))
        manifest = parse_manifest(text)
        found = closings(await compare(fleet, manifest, prune=True))
        said = [str(each) for each in found]
        assert f"~ plan {slug}-old: closed: no tenant is put on it any more" in said
        assert f"~ tenant {gone.slug}: closed, for the file does not name it: suspended" in said
        assert not [line for line in said if f"tenant {acme.slug}:" in line or "plan business" in line]
        assert not closings(await compare(fleet, manifest)), "without being asked to, it closes nothing"
        made = await apply(fleet, manifest, prune=len(found))
        assert closings(made) == found
        assert (await tenants.find(fleet, gone.slug)).status == "suspended"
        assert (await tenants.find(fleet, acme.slug)).status == "active"
        assert (await plans.find(fleet, f"{slug}-old")).closed
        assert await apply(fleet, manifest, prune=0) == []


async def test_plans_that_are_named_otherwise(callers: Callers, slug: str) -> None:
    """A plan stays open that the file names for a tenant, or as what a price stands for."""
    acme = await a_tenant(callers)
    async with undone(callers.database) as fleet:
        for name in ("sold", "chosen", "old"):
            await plans.define(fleet, f"{slug}-{name}", PlanTerms(name=name, features=("scim",)))
        text = FILE.format(kept=acme.slug, name="Renamed").replace('plan = "business"', f'plan = "{slug}-chosen"')
        text += f'[billing.prices."price_{slug}"]\nplan = "{slug}-sold"\n'
        closing = {
            each.key
            for each in closings(await compare(fleet, parse_manifest(text), prune=True))
            if isinstance(each, PlanChanged)
        }
        assert f"{slug}-old" in closing
        assert not {f"{slug}-sold", f"{slug}-chosen"} & closing


async def test_another_number(callers: Callers, slug: str) -> None:
    """If meanwhile another number would close than was confirmed, nothing is applied, and it says which number."""
    acme = await a_tenant(callers)
    manifest = parse_manifest(FILE.format(kept=acme.slug, name="Renamed"))
    async with undone(callers.database) as fleet:
        number = len(closings(await compare(fleet, manifest, prune=True)))
        terms = tenants.TenantTerms(name="Quick", plan="free")
        await tenants.create(fleet, slug, terms, role_rule={"roles": {}, "default": "x"})
        with pytest.raises(ClosesOthers, match=f"{number + 1} tenants and plans .* --yes-close {number + 1}"):
            await apply(fleet, manifest, prune=number)
        assert (await tenants.find(fleet, acme.slug)).name == acme.slug.title()


async def test_typed(alone: tuple[Callers, Shell], tmp_path: Path) -> None:
    """A dry run names what closes; without its number nothing is changed; then tokens stop at the next call."""
    callers, shell = alone
    kept, gone = await a_tenant(callers), await a_tenant(callers)
    file = tmp_path / "tenants.toml"
    file.write_text(FILE.format(kept=kept.slug, name="Renamed"))
    apply_it = ("tenants", "apply", str(file), "--prune")
    tried = (await shell(*apply_it, "--dry-run")).well
    assert f"~ tenant {gone.slug}: closed" in tried
    assert f"tenant {gone.slug} ({gone.slug.title()}): Everything of {gone.slug} is refused" in tried
    assert "plan free: no tenant is put on it any more; 0 tenants on it stay." in tried
    assert "4 changes to make; nothing was changed." in tried  # a name, two plans, a tenant
    as_json = json.loads((await shell(*apply_it, "--dry-run", "--json")).well)
    assert (as_json["applied"], len(as_json["closing"])) == (False, 3)

    asked = (await shell(*apply_it, "--yes")).misuse
    assert "The file does not name these, so 3 close:" in asked
    assert "add --yes-close 3" in asked
    wrong = (await shell(*apply_it, "--yes", "--yes-close", "2")).misuse
    assert "--yes-close 2 was given, and 3 would be closed. Nothing was changed" in wrong
    assert "add --prune" in (await shell(*apply_it[:-1], "--yes-close", "3")).misuse
    assert (await callers.operator.get(kept.v1)).json()["name"] == kept.slug.title()
    assert (await gone.scim.get("/Users")).status_code == 200

    done = await shell(*apply_it, "--yes", "--yes-close", "3")
    assert "4 changes made." in done.well
    assert f"tenant {gone.slug} ({gone.slug.title()})" in done.err, "what closes is said to scripts too"
    assert (await gone.scim.get("/Users")).status_code == 403
    assert (await callers.operator.get(gone.v1)).json()["status"] == "suspended"
    assert (await kept.scim.get("/Users")).status_code == 200
    assert (await shell(*apply_it, "--yes-close", "0")).well == "Nothing to change.\n"
    assert (await shell("tenants", "resume", gone.slug)).code == 0
    assert (await gone.scim.get("/Users")).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "status"), [("1", "suspended"), ("", "active"), ("yes", "active")])
async def test_at_a_terminal(alone: tuple[Callers, Shell], tmp_path: Path, answer: str, status: str) -> None:
    """Somebody at a terminal types the number of what closes; a mere yes closes nothing."""
    callers, shell = alone
    gone = await a_tenant(callers)
    file = tmp_path / "tenants.toml"
    file.write_text((await shell("tenants", "export", gone.slug)).well.partition("\n[tenants.")[0] + "\n")
    code, shown = await asyncio.to_thread(
        at_terminal, shell.settings, f"{answer}\n", "tenants", "apply", str(file), "--prune"
    )
    assert f"tenant {gone.slug}" in shown
    assert "Type 1 to close them" in shown
    assert (code == 0) == (status == "suspended"), shown
    assert (await callers.operator.get(gone.v1)).json()["status"] == status
