"""``rollcall roles``: a tenant's rule, and how it would read a name."""

from dataclasses import asdict

import click

from rollcall.cli.groups import made_of
from rollcall.cli.reaching import in_tenant
from rollcall.cli.showing import Row, json_option, print_facts, print_json, print_table
from rollcall.directory import role_changes
from rollcall.directory import roles as rules
from rollcall.directory.role_changes import Progress
from rollcall.directory.rules import ReadName, RoleRule, Seen
from rollcall.work import Work


@click.group()
def roles() -> None:
    """See a tenant's roles, and try how a name from its provider is read."""


@roles.command("show")
@click.argument("tenant")
@json_option
def show_roles(tenant: str, as_json: bool) -> None:
    """Show TENANT's rule: its prefix, its roles, and the names that mean them."""

    async def run(work: Work) -> tuple[RoleRule, int, Progress | None]:
        return *await rules.current(work), await role_changes.progress(work)

    rule, version, progress = in_tenant(tenant, run)
    if as_json:
        applied = None if progress is None else asdict(progress)
        print_json({"version": version, "rule": rule.model_dump(mode="json"), "applied": applied})
        return
    facts: Row = {
        "prefix": rule.prefix or "none: exact names only",
        "default role": rule.default,
        "read from": ", ".join(sorted(rule.sources)) or "nowhere: roles are given by hand",
        "on conflict": "the change is refused" if rule.on_conflict == "reject" else "the role stays, a case opens",
        "compares names by": f"version {rule.comparison}",
        "version": version,
        "applied": _applied(progress),
    }
    print_facts(facts, {}, as_json=False)
    click.echo()
    print_table(
        [
            {
                "role": key,
                "label": role.label,
                "admin": role.admin,
                "named": ", ".join([*((rule.prefix or "") + name for name in role.names), *role.aliases])
                or "(by hand only)",
            }
            for key, role in rule.roles.items()
        ]
    )


def _applied(progress: Progress | None) -> str:
    """How many people have the roles that follow."""
    if progress is None or not progress.left:
        return "to everybody"
    done = progress.people - progress.left
    return f"to {done:,} of {progress.people:,} whom the last change concerns; a worker brings it to the others"


@roles.command("compare")
@click.argument("tenant")
@click.argument("version", type=click.Choice(["1", "2"]))
@click.option("--dry-run", is_flag=True, help="Say whom it would give another role, and change nothing.")
@json_option
def compare(tenant: str, version: str, dry_run: bool, as_json: bool) -> None:
    """Have TENANT's rule compare names by VERSION, as an edit of the rule, and say whom that gives another role.

    By 2, names are the same whatever their width, and without characters that nobody sees.
    """

    async def run(work: Work) -> list[rules.Previewed]:
        rule, _ = await rules.current(work)
        edited = rule.model_copy(update={"comparison": int(version)})
        found = [each async for each in rules.preview(work, edited)]
        if not dry_run:
            await rules.edit(work, edited)
        return found

    found = in_tenant(tenant, run)
    shown: list[Row] = [
        {"person": each.user_name, "before": each.before, "after": each.after, "because": each.names} for each in found
    ]
    if as_json:
        print_json({"comparison": int(version), "in_force": not dry_run, "people": shown})
        return
    if shown:
        print_table(shown)
    would = "would change" if dry_run else "changed"
    click.echo(f"It {would} something for {len(found)} {'person' if len(found) == 1 else 'people'}.")


@roles.command("try")
@click.argument("tenant")
@click.argument("name")
@json_option
def try_name(tenant: str, name: str, as_json: bool) -> None:
    """Say how TENANT's rule reads NAME, in a person's roles and as the name of a group."""

    async def run(work: Work) -> tuple[ReadName, ...]:
        rule, _ = await rules.current(work)
        return rule.read([Seen(name, "roles"), Seen.in_group(name)]).names

    in_roles, in_group = in_tenant(tenant, run)
    data = {
        "name": name,
        "roles": {"role": in_roles.role, "read_as": in_roles.kind, "spelling": in_roles.spelling},
        "groups": {"role": in_group.role, "read_as": in_group.kind, "spelling": in_group.spelling},
    }
    facts: Row = {
        "in roles": made_of(in_roles),
        "as a group": made_of(in_group),
        "read as": in_roles.spelling,
    }
    print_facts(facts, data, as_json=as_json)
