"""``rollcall people on``: who was active on a day, and in which role."""

from datetime import UTC, datetime

import click

from rollcall.access import history
from rollcall.access.history import Day, Presence
from rollcall.api.v1.history import presence_view
from rollcall.cli.reaching import in_tenant
from rollcall.cli.showing import Row, json_option, print_list
from rollcall.work import Work


@click.command("on")
@click.argument("tenant")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--role", help="Only who were active in this role during it.")
@click.option("--everybody", is_flag=True, help="Those too who were not active.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500), help="People a page.")
@click.option("--cursor", help="Continue where the page before ended.")
@json_option
def people_on_day(
    tenant: str, day: datetime, role: str | None, everybody: bool, limit: int, cursor: str | None, as_json: bool
) -> None:
    """Who was active in TENANT on DAY (UTC, such as 2026-11-01), and in which role, in the order they came."""

    async def run(work: Work) -> Day:
        return await history.people_on(work, day.date(), role=role, everybody=everybody, limit=limit, cursor=cursor)

    found = in_tenant(tenant, run)
    shown = found.people.rows
    print_list([_line(each) for each in shown], [presence_view(each) for each in shown], as_json=as_json)
    click.echo(f"Known since {found.known_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC.", err=True)
    if found.people.next_cursor is not None:
        click.echo(f"More: add --cursor {found.people.next_cursor}", err=True)


def _line(found: Presence) -> Row:
    others = [role for role in found.roles if role != found.role]
    return {
        "userName": found.user_name,
        "id": found.account_id,
        "active": "all day or part of it" if found.active else "no",
        "at its end": "in" if found.active_at_end else "out",
        "role": found.role,
        "earlier that day": " ".join(others) or "-",
        "admin": "yes" if found.is_admin else "no",
    }
