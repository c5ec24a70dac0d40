"""``rollcall keys``: the installation's own keys, operators' and the product's."""

from collections.abc import Sequence
from uuid import UUID

import click

from rollcall.cli.confirming import confirm, yes_option
from rollcall.cli.giving_up import give_up
from rollcall.cli.reaching import across_tenants, uuid_of
from rollcall.cli.showing import Row, counted, json_option, print_json, print_list
from rollcall.crypto import TokenKind
from rollcall.tenancy import operators
from rollcall.tenancy.models import InstallationKey
from rollcall.tenancy.operators import OperatorRole
from rollcall.work import Fleet

_KINDS = {"operator": TokenKind.OPERATOR, "application": TokenKind.APPLICATION}


@click.group()
def keys() -> None:
    """Keys of the installation: operators' and the product's."""


@keys.command("issue")
@click.argument("kind", type=click.Choice(list(_KINDS)))
@click.option("--label", required=True, help="Who or what uses it; the audit names it so.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in OperatorRole]),
    help="What an operator's key may do: everything (ops, unless you say otherwise), plans, overrides and usage "
    "(billing), or read, issue tokens and portal links (support).",
)
@json_option
def issue_key(kind: str, label: str, role: str | None, as_json: bool) -> None:
    """Issue an operator's or the product's (application) key. It is shown once, here."""
    if role is not None and kind != "operator":
        msg = "--role is of operators' keys; the product's has none. Leave it out, or issue a key of the kind operator."
        raise click.UsageError(msg)
    given = OperatorRole(role or OperatorRole.OPS) if kind == "operator" else None

    async def run(fleet: Fleet) -> str:
        return await operators.issue_key(fleet, _KINDS[kind], label=label, role=given or OperatorRole.OPS)

    text = across_tenants(run)
    if as_json:
        print_json({"kind": kind, "role": given, "label": label, "key": text})
    else:
        click.echo(text)
    click.echo("Keep it now: it can't be shown again.", err=True)


@keys.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """List the installation's keys, oldest first, without what opens them."""
    found = across_tenants(operators.every)
    data = [_facts(key) for key in found]
    rows = [{name.removesuffix("_at"): value for name, value in each.items()} for each in data]
    print_list(rows, data, as_json=as_json)


@keys.command("revoke")
@click.argument("key")
@yes_option
@json_option
def revoke_key(key: str, yes: bool, as_json: bool) -> None:
    """End KEY (its id) at once."""
    wanted = uuid_of(key, "key", "rollcall keys list")
    found = across_tenants(operators.every)
    confirm(_effects(found, wanted), yes=yes)

    async def run(fleet: Fleet) -> Row:
        await operators.revoke_key(fleet, wanted, now=fleet.now)
        return next(_facts(each) for each in await operators.every(fleet) if each.id == wanted)

    ended = across_tenants(run)
    if as_json:
        print_json(ended)
    else:
        click.echo("Revoked: the next call with it is refused.")


def _effects(found: Sequence[InstallationKey], wanted: UUID) -> list[str]:
    """What stops with a key; nothing if it has ended already."""
    ending = next((key for key in found if key.id == wanted), None)
    if ending is None:
        give_up("There is no such key; see 'rollcall keys list'.")
    if ending.revoked_at is not None:
        return []
    others = [key for key in found if key.kind == ending.kind and key.revoked_at is None and key.id != wanted]
    whose = "An operator's key" if ending.kind == "op" else "A key of the product"
    left = counted(len(others), "other key") if others else "no other key"
    named = f" ({', '.join(f'“{key.label}”' for key in others[:5])})" if others else ""
    means = "" if ending.kind == "op" or others else ": the product can ask about no session until it has a new one"
    return [f"{whose}, “{ending.label}”, stops; {left} of the kind still works{named}{means}."]


def _facts(key: InstallationKey) -> Row:
    return {
        "id": key.id,
        "kind": "operator" if key.kind == TokenKind.OPERATOR else "application",
        "role": (key.role or OperatorRole.OPS) if key.kind == TokenKind.OPERATOR else None,
        "label": key.label,
        "state": "live" if key.revoked_at is None else "revoked",
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
