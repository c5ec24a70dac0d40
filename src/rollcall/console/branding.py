"""Whose console it is: the product's name and its logo, as the settings have them, on every page."""

from dataclasses import dataclass
from pathlib import Path

from rollcall.console.assets import Asset
from rollcall.settings import LOGO_TYPES, Settings


@dataclass(frozen=True, slots=True)
class Brand:
    """What people read at the top of each page."""

    name: str
    logo: Asset | None
    upgrade_url: str | None = None
    """Where another plan is asked for."""

    @property
    def logo_address(self) -> str | None:
        """Where a page finds the logo; None if there is none."""
        return None if self.logo is None else self.logo.address


def of_settings(settings: Settings) -> Brand:
    """The brand that an operator has set."""
    name = settings.product_name or settings.passkey_rp_name
    return Brand(name, _logo(settings.product_logo), settings.upgrade_url)


def _logo(file: Path | None) -> Asset | None:
    if file is None:
        return None
    suffix = file.suffix.lower()
    return Asset(f"logo{suffix}", file.read_bytes(), LOGO_TYPES[suffix])
