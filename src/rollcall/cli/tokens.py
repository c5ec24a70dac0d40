"""``rollcall tokens``: a tenant's tokens issued, rotated, revoked, and listed with how they stand and why."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click

from rollcall.access import accounts
from rollcall.access import tokens as token_doors
from rollcall.access.models import Token
from rollcall.access.token_states import judgement
from rollcall.access.tokens import NewToken, Scope
from rollcall.api.v1.tokens import issued_view, token_view
from rollcall.cli import stopping
from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.reaching import find_person, in_tenant, uuid_of
from rollcall.cli.showing import Row, json_option, print_json, print_list
from rollcall.work import Work


@click.group()
def tokens() -> None:
    """Issue, rotate, revoke and list a tenant's tokens."""


@tokens.command("list")
@click.argument("tenant")
@json_option
def list_tokens(tenant: str, as_json: bool) -> None:
    """List TENANT's tokens, newest first, with how they stand: whether the next call is let in, and if not why."""

    async def run(work: Work) -> None:
        found = await token_doors.every(work)
        names = await accounts.names(work, (token.owner_id for token in found))
        rows = [_line(token, "(tenant)" if token.owner_id is None else names[token.owner_id]) for token in found]
        print_list(rows, [token_view(token) for token in found], as_json=as_json)

    in_tenant(tenant, run)


def _line(token: Token, owner: str) -> Row:
    stands = judgement(token)
    return {
        "id": token.id,
        "label": token.label,
        "scopes": " ".join(token.scopes),
        "owner": owner,
        "state": stands.state.value,
        "expires": token.expires_at,
        "last used": token.last_used_at,
        "from": token.last_used_from,
        "why, and what to do": " ".join(filter(None, (stands.reason, stands.remedy))),
    }


@tokens.command("issue")
@click.argument("tenant")
@click.option("--label", required=True, help="What the token is for.")
@click.option("--owner", help="userName or id of an active admin; left out, the tenant owns it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    default=[Scope.SCIM.value],
    show_default=True,
)
@click.option("--days", type=click.IntRange(1, 3650), help="Expires after so many days; never if left out.")
@json_option
def issue_token(
    tenant: str, label: str, owner: str | None, scopes: tuple[str, ...], days: int | None, as_json: bool
) -> None:
    """Issue a token for TENANT. It is shown once, here."""

    async def run(work: Work) -> NewToken:
        owner_id = None if owner is None else (await find_person(work, owner)).account.id
        expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
        return await token_doors.issue(
            work, label=label, scopes=[Scope(scope) for scope in scopes], owner_id=owner_id, expires_at=expires_at
        )

    _show(in_tenant(tenant, run), as_json=as_json)


@tokens.command("rotate")
@click.argument("tenant")
@click.argument("token")
@click.option(
    "--overlap-hours",
    default=24.0,
    show_default=True,
    type=click.FloatRange(0, 720),
    help="How long the old token works on.",
)
@yes_option
@json_option
def rotate_token(tenant: str, token: str, overlap_hours: float, yes: bool, as_json: bool) -> None:
    """Replace TOKEN (its id) of TENANT; the new one is shown once, here."""
    wanted = _uuid(tenant, token)
    if not overlap_hours:
        confirm(in_tenant(tenant, _effects_of_ending(wanted)), yes=yes)

    async def run(work: Work) -> NewToken:
        return await token_doors.rotate(work, wanted, overlap=timedelta(hours=overlap_hours))

    _show(in_tenant(tenant, run), as_json=as_json)


@tokens.command("hand-over")
@click.argument("tenant")
@click.argument("token")
@click.option("--owner", required=True, help="userName or id of the active admin who takes it over.")
@json_option
def hand_over_token(tenant: str, token: str, owner: str, as_json: bool) -> None:
    """Have another admin take over TOKEN (its id) of TENANT, whose owner is none any more, with the same secret."""
    wanted = _uuid(tenant, token)

    async def run(work: Work) -> Token:
        return await token_doors.hand_over(work, wanted, (await find_person(work, owner)).account.id)

    taken = in_tenant(tenant, run)
    if as_json:
        print_json(token_view(taken))
    else:
        stands = judgement(taken)
        click.echo(" ".join(filter(None, ("Handed over.", stands.reason, stands.remedy))))


@tokens.command("revoke")
@click.argument("tenant")
@click.argument("token")
@yes_option
@json_option
def revoke_token(tenant: str, token: str, yes: bool, as_json: bool) -> None:
    """End TOKEN (its id) of TENANT at once."""
    wanted = _uuid(tenant, token)
    confirm(in_tenant(tenant, _effects_of_ending(wanted)), yes=yes)

    async def run(work: Work) -> Token:
        return await token_doors.revoke(work, wanted)

    ended = in_tenant(tenant, run)
    if as_json:
        print_json(token_view(ended))
    else:
        click.echo("Revoked: the next call with it is refused.")


def _effects_of_ending(token: UUID) -> Callable[[Work], Awaitable[list[str]]]:
    async def run(work: Work) -> list[str]:
        return await stopping.by_ending(work, await token_doors.find(work, token))

    return run


def _show(new: NewToken, *, as_json: bool) -> None:
    if as_json:
        print_json(issued_view(new))
    else:
        click.echo(new.text)
    click.echo("Keep it now: it can't be shown again.", err=True)


def _uuid(tenant: str, token: str) -> UUID:
    return uuid_of(token, "token", f"rollcall tokens list {tenant}")
