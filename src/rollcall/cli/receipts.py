"""``rollcall receipts``: the proofs of departures, listed, shown, and verified by whoever holds one."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from rollcall.access import accounts
from rollcall.api.v1.receipts import receipt_view
from rollcall.cli.giving_up import give_up
from rollcall.cli.reaching import in_tenant, ref_of
from rollcall.cli.running import actor, origin, run_with_database, settings_or_give_up
from rollcall.cli.showing import Row, counted, json_option, print_json, print_list, progress
from rollcall.crypto import Sealer
from rollcall.db import Database
from rollcall.proof import bundle_verifying, bundles, signing, verifying
from rollcall.proof import receipts as doors
from rollcall.proof.bundles import Bundle, Maker
from rollcall.proof.models import Receipt
from rollcall.work import Work, open_work


@click.group()
def receipts() -> None:
    """The proofs of departures: list, show and verify them."""


@receipts.command("list")
@click.argument("tenant")
@click.option("--incomplete", is_flag=True, help="Only those that wait for a destination.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="Receipts a page.")
@click.option("--cursor", help="Continue where the page before ended.")
@json_option
def list_receipts(tenant: str, incomplete: bool, limit: int, cursor: str | None, as_json: bool) -> None:
    """List TENANT's receipts, newest first."""

    async def run(work: Work) -> None:
        page = await doors.page(work, limit=limit, cursor=cursor, incomplete=incomplete)
        names = await accounts.names(work, (receipt.account_id for receipt in page.rows))
        rows = [_line(receipt, names[receipt.account_id]) for receipt in page.rows]
        views = [receipt_view(receipt) for receipt in page.rows]
        print_list(rows, views, as_json=as_json, next_cursor=page.next_cursor)

    in_tenant(tenant, run)


@receipts.command("show")
@click.argument("tenant")
@click.argument("receipt", type=click.UUID)
@click.option("--jws", "as_jws", is_flag=True, help="The signed statement alone, as 'receipts verify' reads it.")
@json_option
def show_receipt(tenant: str, receipt: UUID, as_jws: bool, as_json: bool) -> None:  # noqa: ARG001  # it always is
    """Show RECEIPT (its id) of TENANT as JSON."""

    async def run(work: Work) -> Receipt:
        return await doors.find(work, receipt)

    found = in_tenant(tenant, run)
    if not as_jws:
        print_json(receipt_view(found))
    elif found.statement is None:
        give_up("This receipt is not complete yet: a destination has still to be told.")
    else:
        click.echo(found.statement)


@receipts.command("keys")
@json_option
def print_keys(as_json: bool) -> None:  # noqa: ARG001  # it always is
    """Print every public key that ever signed a receipt, as JSON, for 'receipts verify'."""

    async def run(database: Database) -> None:
        print_json(await signing.published(database.pool, ever=True))

    run_with_database(run)


@receipts.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=Path("keys.json"),
    show_default=True,
    help="The public keys, as 'receipts keys' or /.well-known/receipt-keys.json gave them.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all that was signed, for programs.")
def verify_receipt(file: Path, keys: Path, as_json: bool) -> None:
    """Verify the receipt or the bundle in FILE off-line: no database, no settings.

    FILE is a .jws, what /v1 answered, or the .zip of a month.
    """
    try:
        trusted = verifying.read_keys(keys.read_bytes())
        if bundle_verifying.is_bundle(str(file)):
            claims = bundle_verifying.verify(str(file), trusted)
            said, lines = "nothing of this bundle", bundle_verifying.summary(claims)
        else:
            claims = verifying.verify(verifying.read_statement(file.read_bytes()), trusted)
            said, lines = "nothing of this receipt", verifying.summary(claims)
    except verifying.NotVerified as reason:
        give_up(f"NOT VERIFIED. {reason}")
    if as_json:
        click.echo(json.dumps(claims, indent=2))
        return
    click.secho(f"Verified: {said} was changed since it was signed.", fg="green")
    for line in lines:
        click.echo(line)


@receipts.command("bundle")
@click.argument("tenant")
@click.argument("month")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The ZIP that is to be written."
)
@json_option
def write_bundle(tenant: str, month: str, out: Path, as_json: bool) -> None:
    """Write TENANT's departures of MONTH (2026-11) as a signed ZIP for auditors."""
    settings = settings_or_give_up()

    async def run(database: Database) -> Bundle:
        ref = await ref_of(database, tenant)
        maker = Maker(
            lambda: open_work(database, ref, actor(), origin()),
            database.pool,
            Sealer.of(settings),
            settings.public_url,
        )
        bundle = Bundle(maker, bundles.wanted_month(month, datetime.now(UTC)))
        await _write(bundle, out)
        return bundle

    done = run_with_database(run, settings)
    if as_json:
        print_json({"written_to": out, "receipts": done.receipts, "incomplete": done.incomplete})
        return
    click.echo(f"Written to {out}: {counted(done.receipts, 'receipt')}.")
    if done.incomplete:
        waiting = f"{done.incomplete:,} that have still to be settled, or wait for a destination"
        click.echo(f"Not in it: {waiting}; write it again later.", err=True)
    click.echo(f"'rollcall receipts verify {out} --keys keys.json' checks it.", err=True)


async def _write(bundle: Bundle, out: Path) -> None:
    """Write a bundle beside its place, and put it there once it is whole."""
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as file, progress("receipts") as advance:  # a command does nothing else
            async for piece in bundle.pieces():
                file.write(piece)
                advance(f"{bundle.receipts:,} receipts", bundle.receipts, None)
        part.replace(out)
    except OSError as error:
        give_up(f"{out} can't be written: {error.strerror or error}. Choose another --out.")
    finally:
        part.unlink(missing_ok=True)


def _line(receipt: Receipt, user_name: str) -> Row:
    destinations = receipt.destinations or []
    return {
        "id": receipt.id,
        "closed at": receipt.closed_at,
        "person": user_name,
        "closed": " ".join(f"{name}={count}" for name, count in receipt.closed.items()),
        "destinations": (
            "waiting"
            if receipt.completed_at is None
            else f"{sum(each['met'] for each in destinations)} of {len(destinations)} in time"
        ),
    }
