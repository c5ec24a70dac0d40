"""The provider profiles a tenant can have: what is ambiguous, or contradicts between providers, is decided here.

What can't be misread is read whoever calls; that table is `profiles.DEVIATIONS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

_ENTRA: Final = (
    "https://learn.microsoft.com/en-us/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups"
)
_OKTA: Final = "https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one provider's calls are read and answered where others want it otherwise."""

    key: str
    label: str
    patch_answers_body: bool = True
    """PATCH answers 200 with the resource (RFC 7644 §3.5.2 allows both); else 204 without."""
    unquoted_filter_values: bool = False
    """``userName eq maria@acme.test`` is read as if the value were quoted."""
    unknown_in_patch_ignored: bool = False
    """A PATCH that names an attribute nobody has changes nothing there, instead of being refused."""
    unique_group_names: bool = False
    """Two groups can't have the same displayName."""
    tolerant: bool = True
    """Deviations that can't be misread are read; without this whatever departs from the standard is refused."""
    quiet_after: timedelta = timedelta(days=30)
    """How long it may send nothing before somebody should look: most call only when something changes."""
    documented: str = ""
    """Where the provider says so."""


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        profile.key: profile
        for profile in (
            Profile(key="default", label="Any provider"),
            Profile(
                key="entra",
                label="Microsoft Entra ID",
                patch_answers_body=False,
                unquoted_filter_values=True,
                unknown_in_patch_ignored=True,
                unique_group_names=True,
                quiet_after=timedelta(hours=3),  # it calls every 40 minutes
                documented=_ENTRA,
            ),
            Profile(key="okta", label="Okta", quiet_after=timedelta(days=14), documented=_OKTA),
            Profile(key="onelogin", label="OneLogin", documented="https://developers.onelogin.com/scim"),
            Profile(key="jumpcloud", label="JumpCloud", documented="https://jumpcloud.com/support"),
            Profile(key="strict", label="The standard to the letter", tolerant=False),
        )
    }
)
"""Every profile by its key."""
