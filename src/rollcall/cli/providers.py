"""``rollcall tenants provider``: who a tenant's identity provider is, by which evidence, and its profile."""

import click

from rollcall.api.v1.providers import EvidenceView, provider_view
from rollcall.cli.reaching import in_tenant
from rollcall.cli.showing import Row, json_option, print_facts, print_table
from rollcall.provisioning import provider_state
from rollcall.scim.providers import PROFILES
from rollcall.tenancy.models import Tenant
from rollcall.work import Work


@click.command("provider")
@click.argument("tenant")
@json_option
def show_provider(tenant: str, as_json: bool) -> None:
    """Say who TENANT's identity provider is, and by which evidence; what was not met for 30 days is left out."""

    async def run(work: Work) -> None:
        state = await provider_state.of_tenant(work)
        view = provider_view(state)
        facts = {
            "recognised": view.recognised_as or "nobody beyond doubt",
            "profile": profile_of(state.tenant),
            "waits for": view.waits_for,
            "proposed": view.proposed and f"rollcall tenants profile {state.tenant.slug} {view.proposed}",
        }
        print_facts(facts, view, as_json=as_json)
        if not as_json and view.evidence:
            print_table([_evidence(each) for each in view.evidence])

    in_tenant(tenant, run)


def profile_of(tenant: Tenant) -> str:
    """The tenant's profile in words: whose it is, and whether it was chosen, taken, or is still to be taken."""
    label = PROFILES[tenant.profile].label
    if not tenant.profile_auto:
        return f"{label} (profile {tenant.profile})"
    if tenant.profile_taken_at is None:
        return f"not recognised yet (profile auto; see 'rollcall tenants provider {tenant.slug}')"
    return f"{label} (profile auto, taken {tenant.profile_taken_at:%Y-%m-%d %H:%M} UTC)"


def _evidence(found: EvidenceView) -> Row:
    return {
        "evidence": found.says,
        "of": found.provider or "nobody we know",
        "first": found.first_seen,
        "last": found.last_seen,
        "times": found.times,
    }
