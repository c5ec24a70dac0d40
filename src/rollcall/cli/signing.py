"""``rollcall signing-keys``: the keys that sign receipts and logout tokens, and how one follows another."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import click

from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.reaching import across_tenants
from rollcall.cli.running import settings_or_give_up
from rollcall.cli.showing import Row, json_option, print_json, print_list, rfc3339
from rollcall.crypto import Sealer
from rollcall.proof import pairs, signing
from rollcall.proof.models import SigningKey
from rollcall.work import Fleet


@click.group("signing-keys")
def signing_keys() -> None:
    """List, replace and withdraw the keys that sign receipts and logout tokens."""


@signing_keys.command("list")
@json_option
def list_signing_keys(as_json: bool) -> None:
    """List every key, newest first."""

    async def run(fleet: Fleet) -> None:
        data = [_facts(key, fleet.now) for key in await signing.every(fleet)]
        names = {
            "kid": "kid",
            "state": "state",
            "signs with": "algorithm",
            "signs from": "active_from",
            "until": "retired_at",
        }
        rows = [{name: each[column] for name, column in names.items()} for each in data]
        print_list(rows, data, as_json=as_json)

    across_tenants(run)


@signing_keys.command("rotate")
@click.option("--now", "at_once", is_flag=True, help="Sign with it at once; a cached key set lacks it for 5 min.")
@click.option("--receipts", "of_receipts", is_flag=True, help="The key of receipts (ES256), and not of logout tokens.")
@json_option
def rotate_signing_key(at_once: bool, of_receipts: bool, as_json: bool) -> None:
    """Publish a new key. It signs ten minutes later, when every cache of the key set knows it.

    Without --receipts it is one for logout tokens (RS256), which signs receipts too where these have none of their own.
    """
    settings = settings_or_give_up()
    lead = timedelta() if at_once else signing.LEAD
    algorithm = pairs.Algorithm.ES256 if of_receipts else pairs.Algorithm.RS256

    async def run(fleet: Fleet) -> Row:
        key = await signing.rotate(fleet, Sealer.of(settings), algorithm=algorithm, lead=lead)
        return _facts(key, fleet.now)

    key = across_tenants(run, settings)
    if as_json:
        print_json(key)
    else:
        click.echo(f"{key['kid']} is published and signs from {_said(key['active_from'])} on.")


@signing_keys.command("revoke")
@click.argument("kid")
@yes_option
@json_option
def revoke_signing_key(kid: str, yes: bool, as_json: bool) -> None:
    """Withdraw KID, a key that others may have: nothing it ever signed is believed any more, receipts included."""
    settings = settings_or_give_up()

    async def effects(fleet: Fleet) -> list[str]:
        return _effects(await signing.every(fleet), kid, fleet.now)

    confirm(across_tenants(effects, settings), yes=yes)

    async def run(fleet: Fleet) -> Row:
        return _facts(await signing.revoke(fleet, Sealer.of(settings), kid), fleet.now)

    signs = across_tenants(run, settings)
    if as_json:
        print_json({"revoked": kid, "signing": signs})
    else:
        click.echo(f"{kid} is withdrawn; a cached key set has it for 5 minutes more. {signs['kid']} signs.")


def _effects(keys: Sequence[SigningKey], kid: str, now: datetime) -> list[str]:
    """What is believed no more once a key is withdrawn; nothing if it is, or if there is no such key."""
    ending = next((key for key in keys if key.kid == kid and key.revoked_at is None), None)
    if ending is None:
        return []
    if ending.active_from > now:
        return [f"{kid} has signed nothing yet; whatever comes after it is signed by another key."]
    until = "now" if ending.retired_at is None or ending.retired_at > now else _said(ending.retired_at)
    algorithm = signing.algorithm_of(ending)
    what = "receipt" if algorithm is pairs.Algorithm.ES256 else "receipt and logout token"
    said = f"Every {what} that {kid} signed, from {_said(ending.active_from)} until {until}, "
    waiting = [key for key in keys if key.kid != kid and key.revoked_at is None and key.active_from > now]
    others = [key for key in waiting if signing.algorithm_of(key) is algorithm]
    if until == "now":
        follows = f"{others[0].kid} begins to sign" if others else "a new key is made and signs"
        return [f"{said}is believed no more; {follows}."]
    return [f"{said}is believed no more."]


def _facts(key: SigningKey, now: datetime) -> Row:
    return {
        "kid": key.kid,
        "state": _state(key, now),
        "algorithm": signing.algorithm_of(key).value,
        "active_from": key.active_from,
        "retired_at": key.retired_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
    }


def _said(moment: object) -> str:
    assert isinstance(moment, datetime)
    return rfc3339(moment)


def _state(key: SigningKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.active_from > now:
        return "waiting"
    if key.retired_at is None or key.retired_at > now:
        return "signing"
    return "published" if now - key.retired_at < signing.PUBLISHED_AFTER else "kept for receipts"
