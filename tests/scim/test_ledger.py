"""The ledger says what a provider does in its own words, and which setting over there ends it."""

import pytest

from rollcall.scim import ledger
from rollcall.scim.profiles import DEVIATIONS
from rollcall.scim.providers import PROFILES
from rollcall.scim.values import Deviation


@pytest.mark.parametrize("provider", [None, *PROFILES])
@pytest.mark.parametrize("deviation", Deviation)
def test_every_line_can_be_said(provider: str | None, deviation: Deviation) -> None:
    """There are words for each deviation, whoever sends it, with and without its attribute."""
    for said in (str(deviation), f"{deviation}:name.givenName"):
        told = ledger.tell(said, provider)
        assert told is not None
        assert told.does
        assert told.read_as == DEVIATIONS[deviation].read_as


@pytest.mark.parametrize(
    ("provider", "deviation", "setting"),
    [
        ("entra", "string-boolean:active", "aadOptscim062020"),
        ("entra", "capitalised-op", "aadOptscim062020"),
        ("entra", "json-in-string:roles", "SingleAppRoleAssignment"),
        ("okta", "password", "Set password when creating new users"),
        ("onelogin", "string-boolean:active", "SCIM JSON Template"),
        ("jumpcloud", "unknown-attribute:shoeSize", "attribute mapping"),
        (None, "unknown-role:dart-emperors", "role rule"),
    ],
)
def test_settings(provider: str | None, deviation: str, setting: str) -> None:
    """Where a setting at the provider ends it, that is named; of another provider it is another one."""
    told = ledger.tell(deviation, provider)
    assert told is not None
    assert setting in (told.setting or "")


def test_no_setting() -> None:
    """Where there is none, none is made up; and a line that no table knows is said by nobody."""
    told = ledger.tell("no-path", "okta")
    assert told is not None
    assert (told.provider, told.setting, told.within_the_standard) == ("Okta", None, True)
    assert ledger.tell("others", "okta") is None
