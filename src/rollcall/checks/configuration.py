"""Whether the settings are complete, and fit for production where that is meant."""

from importlib.util import find_spec
from urllib.parse import urlsplit

from rollcall.checks.model import Check, failed, ok, warning
from rollcall.settings import Settings, SettingsRead

SETTINGS = "settings"
PUBLIC_URL = "public-url"
DESTINATIONS = "private-destinations"
STRIPE = "stripe"


def readable(reading: SettingsRead) -> list[Check]:
    """Whether all settings can be read, and none is misspelt."""
    problems = [failed(SETTINGS, f"{each.variable} can't be used", str(each)) for each in reading.problems]
    strangers = [warning(SETTINGS, str(each), f"rename or unset {each.variable}") for each in reading.unknown]
    return problems + strangers or [ok(SETTINGS, "the settings are complete")]


def fit(settings: Settings) -> list[Check]:
    """Whether they are as safe as their environment asks for."""
    return [_public_url(settings), _private_destinations(settings), _stripe(settings)]


def _public_url(settings: Settings) -> Check:
    if settings.environment != "production" or urlsplit(settings.public_url).scheme == "https":
        return ok(PUBLIC_URL, f"customers reach {settings.public_url}")
    return warning(
        PUBLIC_URL,
        f"customers reach {settings.public_url} in production: tokens travel in the clear, and cookies are not secure",
        "put a proxy with TLS before it and set ROLLCALL_PUBLIC_URL to its https:// address",
    )


def _private_destinations(settings: Settings) -> Check:
    if not settings.allow_private_destinations:
        ports = ", ".join(map(str, settings.destination_ports))
        return ok(DESTINATIONS, f"destinations are outside the own network, encrypted, and at the ports {ports}")
    if settings.environment != "production":
        return ok(DESTINATIONS, "destinations may be inside the own network, as is usual while developing")
    return failed(
        DESTINATIONS,
        "in production whoever may register a destination can have Rollcall call into the own network",
        "unset ROLLCALL_ALLOW_PRIVATE_DESTINATIONS",
    )


def _stripe(settings: Settings) -> Check:
    """Whether all that Stripe takes is there, or nothing of it; each process has its own settings and packages."""
    hears, asks, installed = bool(settings.stripe_webhook_secrets), settings.stripe_api_key, find_spec("stripe")
    if not hears and asks is None:
        said = "nobody pays through Stripe"
        return ok(STRIPE, f"{said}, though its package is installed" if installed else said)
    if installed is None:
        return failed(
            STRIPE,
            "Stripe is set up and its package is not installed: its events are answered 503, and it can't be asked",
            "install it for web processes and workers: pip install 'rollcall[stripe]'; or unset ROLLCALL_STRIPE_…",
        )
    if asks is None:
        return failed(
            STRIPE,
            "Stripe's events are taken and Stripe can't be asked: tenants keep what they have",
            "set ROLLCALL_STRIPE_API_KEY to a restricted key that reads, for the workers",
        )
    if not hears:
        return warning(
            STRIPE,
            "Stripe is asked once a day and its events are refused: a payment counts a day late",
            "set ROLLCALL_STRIPE_WEBHOOK_SECRETS to the signing secret of the endpoint, for the web processes",
        )
    return ok(STRIPE, "Stripe is heard and asked")
