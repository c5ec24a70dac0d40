"""``rollcall cases`` and ``rollcall deviations``: where a provider contradicts itself, or the standard."""

import click

from rollcall.api.v1.audit import DeviationView, deviation_view
from rollcall.api.v1.people import CaseView
from rollcall.cli.reaching import in_tenant
from rollcall.cli.showing import Row, json_option, print_list
from rollcall.directory import conflict_cases
from rollcall.journal import queries
from rollcall.paging import MOST
from rollcall.provisioning import provider_state
from rollcall.work import Work


@click.group()
def cases() -> None:
    """See whose roles contradict each other, and from where."""


@cases.command("list")
@click.argument("tenant")
@click.option("--closed", is_flag=True, help="Those that are over instead.")
@json_option
def list_cases(tenant: str, closed: bool, as_json: bool) -> None:
    """List TENANT's open cases, latest first, with their cause. A case closes itself once its cause is gone."""

    async def run(work: Work) -> None:
        found = (await conflict_cases.page(work, closed=closed, limit=MOST)).rows
        rows = [
            {
                "person": case.user_name,
                "cause": case.detail,
                "names": ", ".join(f"{name['name']} in {name['source']}" for name in case.names),
                "seen": f"{case.times:,} times" if case.times > 1 else "once",
                "first": case.first_seen,
                "last": case.last_seen,
                **({"closed": case.closed_at, "because": case.closed_because} if closed else {}),
            }
            for case in found
        ]
        print_list(rows, [CaseView.model_validate(case, from_attributes=True) for case in found], as_json=as_json)

    in_tenant(tenant, run)


@click.command()
@click.argument("tenant")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 90), help="How far to look back.")
@json_option
def deviations(tenant: str, days: int, as_json: bool) -> None:
    """List what TENANT's provider does otherwise than the standard, latest day first, and what ends it there."""

    async def run(work: Work) -> None:
        found = (await queries.deviations(work, days=days, limit=MOST)).rows
        provider = (await provider_state.of_tenant(work)).speaks_as
        views = [deviation_view(row, provider) for row in found]
        print_list([_said(view) for view in views], views, as_json=as_json)

    in_tenant(tenant, run)


def _said(view: DeviationView) -> Row:
    return {
        "day": view.day,
        "times": view.times,
        "deviation": view.deviation,
        "what it does": view.does,
        "what ends it there": view.setting,
    }
