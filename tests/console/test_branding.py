"""Whose console it is: the product's name and logo on every page."""

from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
from hatchling.builders.wheel import WheelBuilder  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
from litestar import Litestar

from rollcall.console import branding
from rollcall.console.assets import FOLDER
from rollcall.settings import Settings

LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>alert(1)</script></svg>'


async def test_name_and_logo(
    app: Litestar, http: httpx.AsyncClient, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page says the product's name and shows its logo, which runs nothing even when it is opened by itself."""
    (tmp_path / "logo.SVG").write_bytes(LOGO)
    said = settings.model_copy(update={"product_name": "Dart & Co", "product_logo": tmp_path / "logo.SVG"})
    monkeypatch.setattr(app.state, "brand", branding.of_settings(said), raising=False)

    page = (await http.get("/console/sign-in")).text

    assert "<span>Dart &amp; Co</span>" in page
    assert "· Dart &amp; Co</title>" in page
    address = page.partition('<img src="')[2].partition('"')[0]
    logo = await http.get(address)
    assert (logo.content, logo.headers["content-type"].partition(";")[0]) == (LOGO, "image/svg+xml")
    assert "sandbox" in logo.headers["content-security-policy"]
    assert "immutable" in logo.headers["cache-control"]


def test_the_name_if_none_is_set(settings: Settings) -> None:
    """Without a name of its own the console has the one that devices ask with."""
    brand = branding.of_settings(settings.model_copy(update={"passkey_rp_name": "Acme"}))
    assert (brand.name, brand.logo) == ("Acme", None)


def test_all_of_it_is_installed(tmp_path: Path) -> None:
    """Whoever installs Rollcall from a wheel has what pages load, and the licences of what others made."""
    root = Path(__file__).parents[2]
    (built,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    with ZipFile(built) as wheel:
        inside = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("rollcall/console/assets/")}
    here = {file for file in FOLDER.rglob("*") if file.is_file()}
    assert {f"rollcall/console/assets/{file.relative_to(FOLDER).as_posix()}" for file in here} == set(inside)
    for file in here:
        assert inside[f"rollcall/console/assets/{file.relative_to(FOLDER).as_posix()}"] == file.read_bytes()
