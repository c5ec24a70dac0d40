"""``rollcall signing-keys``: the keys that sign receipts and logout tokens, and how one follows another."""

from datetime import datetime, timedelta

import click

from rollcall.access import signing
from rollcall.access.models import SigningKey
from rollcall.cli.running import actor, origin, run_with_database, settings_or_give_up, table
from rollcall.crypto import Sealer
from rollcall.db import Database
from rollcall.work import open_fleet


@click.group("signing-keys")
def signing_keys() -> None:
    """List, replace and withdraw the keys that sign receipts and logout tokens."""


@signing_keys.command("list")
def list_signing_keys() -> None:
    """List every key, newest first."""

    async def run(database: Database) -> None:
        async with open_fleet(database, actor(), origin()) as fleet:
            table(
                [
                    {
                        "kid": key.kid,
                        "state": _state(key, fleet.now),
                        "signs from": f"{key.active_from:%Y-%m-%d %H:%M:%S}",
                        "until": "" if key.retired_at is None else f"{key.retired_at:%Y-%m-%d %H:%M:%S}",
                    }
                    for key in await signing.every(fleet)
                ]
            )

    run_with_database(run)


@signing_keys.command("rotate")
@click.option("--now", "at_once", is_flag=True, help="Sign with it at once; a cached key set lacks it for 5 min.")
def rotate_signing_key(at_once: bool) -> None:
    """Publish a new key. It signs ten minutes later, when every cache of the key set knows it."""
    settings = settings_or_give_up()
    lead = timedelta() if at_once else signing.LEAD

    async def run(database: Database) -> SigningKey:
        async with open_fleet(database, actor(), origin()) as fleet:
            return await signing.rotate(fleet, Sealer.of(settings), lead=lead)

    key = run_with_database(run, settings)
    click.echo(f"{key.kid} is published and signs from {key.active_from:%Y-%m-%d %H:%M:%S} UTC on.")


@signing_keys.command("revoke")
@click.argument("kid")
def revoke_signing_key(kid: str) -> None:
    """Withdraw KID, a key that others may have: nothing it ever signed is believed any more, receipts included."""
    settings = settings_or_give_up()

    async def run(database: Database) -> SigningKey:
        async with open_fleet(database, actor(), origin()) as fleet:
            return await signing.revoke(fleet, Sealer.of(settings), kid)

    signs = run_with_database(run, settings)
    click.echo(f"{kid} is withdrawn; a cached key set has it for 5 minutes more. {signs.kid} signs.")


def _state(key: SigningKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.active_from > now:
        return "waiting"
    if key.retired_at is None or key.retired_at > now:
        return "signing"
    return "published" if now - key.retired_at < signing.PUBLISHED_AFTER else "kept for receipts"
