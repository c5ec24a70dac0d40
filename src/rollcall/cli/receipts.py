"""``rollcall receipts``: the proofs of departures, listed, shown, and verified by whoever holds one."""

import json
from pathlib import Path
from uuid import UUID

import click

from rollcall.access import accounts
from rollcall.api.v1.receipts import receipt_view
from rollcall.cli.reaching import in_tenant
from rollcall.cli.running import give_up, run_with_database
from rollcall.cli.showing import Row, json_option, print_json, print_list
from rollcall.db import Database
from rollcall.proof import receipts as doors
from rollcall.proof import signing, verifying
from rollcall.proof.models import Receipt
from rollcall.work import Work


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
    """Verify the receipt in FILE (a .jws, or what /v1 answered) off-line: no database, no settings."""
    try:
        trusted = verifying.read_keys(keys.read_bytes())
        claims = verifying.verify(verifying.read_statement(file.read_bytes()), trusted)
    except verifying.NotVerified as reason:
        give_up(f"NOT VERIFIED. {reason}")
    if as_json:
        click.echo(json.dumps(claims, indent=2))
        return
    click.secho("Verified: nothing of this receipt was changed since it was signed.", fg="green")
    for line in verifying.summary(claims):
        click.echo(line)


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
