"""Where this installation's own pages are, and whether a browser gives them passkeys."""

import pytest

from rollcall.access.authenticators import own_party, pages_address, relying_party
from rollcall.settings import Settings


@pytest.mark.parametrize(
    ("public_url", "address"),
    [
        ("http://127.0.0.1:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://localhost:8000"),
        ("http://0.0.0.0:8000", "http://localhost:8000"),
        ("http://127.0.0.1", "http://localhost"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://people.example/below", "https://people.example"),
        ("https://People.Example:443", "https://people.example"),
        ("http://people.example:443", "http://people.example:443"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://192.0.2.7:8000", "http://192.0.2.7:8000"),
    ],
)
def test_by_name(public_url: str, address: str) -> None:
    """A number of this machine is called localhost; any other address is written as browsers write it."""
    assert pages_address(public_url) == address


@pytest.mark.parametrize(
    ("public_url", "domain", "usable"),
    [
        ("https://people.example", None, True),
        ("https://rollcall.acme.example", "acme.example", True),
        ("http://127.0.0.1:8000", None, True),
        ("http://localhost:8000", None, True),
        ("http://people.example", None, False),
        ("https://192.0.2.7", None, False),
        ("https://[2001:db8::1]", None, False),
        ("https://people.example", "acme.example", False),
        ("https://notacme.example", "acme.example", False),
    ],
)
def test_passkeys_on_our_own_pages(settings: Settings, public_url: str, domain: str | None, usable: bool) -> None:
    """A browser gives passkeys to pages that are encrypted or on this machine, have a name, and are in the domain."""
    said = settings.model_copy(update={"public_url": public_url, "passkey_rp_id": domain})

    found = own_party(said)

    assert (found is not None) == usable
    if found is not None:
        assert found.origins == (pages_address(public_url),)
        assert found.id == relying_party(said).id


def test_other_pages_are_not_ours(settings: Settings) -> None:
    """The product's pages may use the passkeys of the domain, and are not pages of the console."""
    said = settings.model_copy(
        update={
            "public_url": "https://rollcall.acme.example",
            "passkey_rp_id": "acme.example",
            "passkey_origins": ("https://app.acme.example",),
        }
    )
    found = own_party(said)
    assert found is not None
    assert found.origins == ("https://rollcall.acme.example",)
    assert relying_party(said).origins == ("https://app.acme.example",)
