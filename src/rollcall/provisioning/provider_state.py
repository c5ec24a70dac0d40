"""What is known of a tenant's identity provider: who it is, by which evidence, and what that means for its profile."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, text

from rollcall.functions import qualified
from rollcall.journal.models import ProviderMark
from rollcall.provisioning import profile_taking
from rollcall.scim.providers import PROFILES
from rollcall.scim.recognising import Recognised, Seen, recognise
from rollcall.tenancy import tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Work

_WHY_NOT = text(qualified("SELECT fn.why_not_taken(:tenant, :unique_names, :quiet)"))

_WAITS_FOR: Final = {
    "busy": "its provider has changed something within the last 60 minutes; it is taken after so many quiet ones",
    "twins": "groups share a name, and this profile has names unique; rename one of each at the provider or remove it",
}


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A tenant's provider as it is known at this moment."""

    tenant: Tenant
    recognised: Recognised
    waits_for: str | None
    """Why a profile that takes itself has not been taken, in words that say what ends that."""

    @property
    def proposed(self) -> str | None:
        """The profile of whoever was recognised, where it is not the one in effect; choosing it is up to people."""
        return None if self.recognised.provider == self.tenant.profile else self.recognised.provider

    @property
    def speaks_as(self) -> str | None:
        """The provider in whose words the ledger speaks: the profile's, else whoever was recognised."""
        return self.tenant.profile if PROFILES[self.tenant.profile].documented else self.recognised.provider


async def of_tenant(work: Work) -> ProviderState:
    """What is known of the provider of the tenant that this work is for."""
    tenant = await tenants.own(work)
    rows = await work.db.scalars(select(ProviderMark).where(ProviderMark.tenant_id == work.tenant.id))
    recognised = recognise((Seen(row.mark, row.first_seen, row.last_seen, row.times) for row in rows), work.now)
    return ProviderState(tenant, recognised, await _waits_for(work, tenant, recognised))


async def _waits_for(work: Work, tenant: Tenant, recognised: Recognised) -> str | None:
    if not tenant.profile_auto or tenant.profile_taken_at is not None:
        return None
    if recognised.provider is None:
        return _undecided(recognised)
    unique = PROFILES[recognised.provider].unique_group_names
    asked = {"tenant": work.tenant.id, "unique_names": unique, "quiet": profile_taking.QUIET}
    why = await work.db.scalar(_WHY_NOT, asked)
    return None if why is None else _WAITS_FOR.get(why)


def _undecided(recognised: Recognised) -> str:
    if not recognised.candidates:
        return "nothing that was sent says who the provider is"
    labels = " or ".join(PROFILES[key].label for key in recognised.candidates)
    return f"what was sent could be {labels}'s; it is not enough to be sure, so choose the profile if you know"
