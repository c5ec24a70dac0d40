"""``rollcall receipts``: the proofs of departures, listed, shown, and verified by whoever holds one."""

import json
from pathlib import Path
from uuid import UUID

import click

from rollcall.access import receipts as receipt_doors
from rollcall.access import signing, statements
from rollcall.access.models import Receipt
from rollcall.cli.access import ref_of
from rollcall.cli.running import actor, give_up, origin, run_with_database, table
from rollcall.db import Database
from rollcall.work import open_work


@click.group()
def receipts() -> None:
    """The proofs of departures: list, show and verify them."""


@receipts.command("list")
@click.argument("tenant")
@click.option("--incomplete", is_flag=True, help="Only those that wait for a destination.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 200), help="Receipts a page.")
@click.option("--cursor", help="Continue where the page before ended.")
def list_receipts(tenant: str, incomplete: bool, limit: int, cursor: str | None) -> None:
    """List TENANT's receipts, newest first."""

    async def run(database: Database) -> None:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            page = await receipt_doors.page(work, limit=limit, cursor=cursor, incomplete=incomplete)
        table([_line(receipt) for receipt in page.rows])
        if page.next_cursor is not None:
            click.echo(f"More: add --cursor {page.next_cursor}", err=True)

    run_with_database(run)


@receipts.command("show")
@click.argument("tenant")
@click.argument("receipt", type=click.UUID)
@click.option("--jws", "as_jws", is_flag=True, help="The signed statement alone, as 'receipts verify' reads it.")
def show_receipt(tenant: str, receipt: UUID, as_jws: bool) -> None:
    """Show RECEIPT (its id) of TENANT as JSON."""

    async def run(database: Database) -> Receipt:
        async with open_work(database, await ref_of(database, tenant), actor(), origin()) as work:
            return await receipt_doors.find(work, receipt)

    found = run_with_database(run)
    if not as_jws:
        facts = {column.key: getattr(found, column.key) for column in Receipt.__table__.columns}
        click.echo(json.dumps(facts, default=str, indent=2))
    elif found.statement is None:
        give_up("This receipt is not complete yet: a destination has still to be told.")
    else:
        click.echo(found.statement)


@receipts.command("keys")
def print_keys() -> None:
    """Print every public key that ever signed a receipt, for 'receipts verify'."""

    async def run(database: Database) -> None:
        click.echo(json.dumps(await signing.published(database.pool, ever=True), indent=2))

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
    """Verify the receipt in FILE (a .jws, or what /v1 answered) off-line: no database, no settings."""
    try:
        trusted = statements.read_keys(keys.read_bytes())
        claims = statements.verify(statements.read_statement(file.read_bytes()), trusted)
    except statements.NotVerified as reason:
        give_up(f"NOT VERIFIED. {reason}")
    if as_json:
        click.echo(json.dumps(claims, indent=2))
        return
    click.secho("Verified: nothing of this receipt was changed since it was signed.", fg="green")
    for line in statements.summary(claims):
        click.echo(line)


def _line(receipt: Receipt) -> dict[str, object]:
    destinations = receipt.destinations or []
    return {
        "id": receipt.id,
        "closed at": receipt.closed_at.strftime("%Y-%m-%d %H:%M:%S"),
        "person": receipt.account_id,
        "closed": " ".join(f"{name}={count}" for name, count in receipt.closed.items()),
        "destinations": (
            "waiting"
            if receipt.completed_at is None
            else f"{sum(each['met'] for each in destinations)} of {len(destinations)} in time"
        ),
    }
