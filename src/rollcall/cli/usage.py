"""``rollcall plans usage``: what tenants used, month by month, for whoever bills them."""

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from rollcall.api.v1.usage import UsageView, usage_view
from rollcall.cli.reaching import across_tenants, in_tenant
from rollcall.cli.showing import json_option, print_list, rfc3339
from rollcall.paging import MOST
from rollcall.tenancy import usage as doors
from rollcall.tenancy.usage import Usage
from rollcall.work import Fleet, Work


@click.command("usage")
@click.argument("tenant", required=False)
@click.option("--month", help="As 2026-11; left out, the present one, and with TENANT all that there are.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, for spreadsheets and billing.")
@json_option
def show_usage(tenant: str | None, month: str | None, as_csv: bool, as_json: bool) -> None:
    """Print the most and the average of active people in a month, of all tenants or of TENANT."""
    found = _of_all(month or f"{datetime.now(UTC):%Y-%m}") if tenant is None else _of_one(tenant, month)
    if as_csv:
        _print_csv(found)
        return
    rows = [
        {
            "tenant": each.tenant,
            "plan": each.plan,
            "month": each.month,
            "peak": f"{each.peak:,}",
            "average": f"{each.average:,}",
            "counted from": each.counted_from,
            "until": each.counted_until,
        }
        for each in found
    ]
    print_list(rows, [usage_view(each) for each in found], as_json=as_json, nothing="nothing was counted then")


def _of_all(month: str) -> Sequence[Usage]:
    async def run(fleet: Fleet) -> list[Usage]:
        found: list[Usage] = []
        cursor: str | None = None
        while True:
            page = await doors.of_month(fleet, doors.month_of(month), limit=MOST, cursor=cursor)
            found += page.rows
            if (cursor := page.next_cursor) is None:
                return found

    return across_tenants(run)


def _of_one(tenant: str, month: str | None) -> Sequence[Usage]:
    async def run(work: Work) -> list[Usage]:
        wanted = None if month is None else f"{doors.month_of(month):%Y-%m}"
        return [each for each in await doors.of_tenant(work) if wanted in (None, each.month)]

    return in_tenant(tenant, run)


def _print_csv(found: Sequence[Usage]) -> None:
    """Print a line for each month, under the names of `UsageView`; what a spreadsheet would run is text."""
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(UsageView.model_fields)
    for each in found:
        lines.writerow(csv_field(getattr(each, name)) for name in UsageView.model_fields)


def csv_field(value: object) -> str:
    """A value as a spreadsheet takes it for text or a number."""
    match value:
        case None:
            return ""
        case datetime():
            return rfc3339(value)
        case _:
            said = str(value)
            return f"'{said}" if said[:1] in ("=", "+", "-", "@", "\t", "\r") else said
