"""``/v1/tenants/{tenant}/provider``: who the tenant's identity provider is, by which evidence, and its profile."""

from datetime import datetime

from litestar import Router, get
from pydantic import BaseModel, Field

from rollcall.api.v1.callers import ADMINS, TenantWork, tenant_work
from rollcall.api.v1.tenants import ProfileKey, ProfileName
from rollcall.provisioning import provider_state
from rollcall.provisioning.provider_state import ProviderState
from rollcall.scim.recognising import Finding


class EvidenceView(BaseModel):
    """One thing by which the provider can be recognised."""

    mark: str
    provider: ProfileKey | None = Field(description="whose it is; null if it is nobody's we know")
    says: str
    documented: str
    first_seen: datetime
    last_seen: datetime
    times: int


class ProviderView(BaseModel):
    """The tenant's identity provider as it is known at this moment."""

    profile: ProfileName = Field(description="as it was chosen")
    profile_in_effect: ProfileKey
    profile_taken_at: datetime | None = Field(description="when `auto` took it; null if it has taken none")
    recognised: ProfileKey | None = Field(description="who the provider is beyond doubt, by the evidence")
    recognised_as: str | None = Field(description="what that provider is called")
    proposed: ProfileKey | None = Field(description="the profile worth choosing; null if it is in effect")
    waits_for: str | None = Field(description="why `auto` has taken none yet, and what ends that")
    evidence: list[EvidenceView]


def provider_view(state: ProviderState) -> ProviderView:
    """A tenant's provider as it is shown."""
    return ProviderView.model_validate(
        {
            "profile": state.tenant.chosen_profile,
            "profile_in_effect": state.tenant.profile,
            "profile_taken_at": state.tenant.profile_taken_at,
            "recognised": state.recognised.provider,
            "recognised_as": state.recognised.label,
            "proposed": state.proposed,
            "waits_for": state.waits_for,
            "evidence": [_evidence(each) for each in state.recognised.findings],
        }
    )


def _evidence(found: Finding) -> dict[str, object]:
    return {
        "mark": found.seen.mark,
        "provider": found.provider,
        "says": found.says,
        "documented": found.documented,
        "first_seen": found.seen.first,
        "last_seen": found.seen.last,
        "times": found.seen.times,
    }


@get("/tenants/{tenant:str}/provider", guards=[ADMINS], dependencies={"work": tenant_work})
async def get_provider(work: TenantWork) -> ProviderView:
    """Who the tenant's identity provider is, by what it has sent within the last 30 days."""
    return provider_view(await provider_state.of_tenant(work))


router = Router("/", route_handlers=[get_provider], tags=["tenants"])
