"""The keys and tokens that ``rollcall up`` makes for trying: kept where only their owner reads them."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rollcall import db
from rollcall.access import tokens
from rollcall.access.authenticators import pages_address
from rollcall.access.models import Account
from rollcall.access.tokens import Scope
from rollcall.crypto import TokenKind, new_secret_key, read_token
from rollcall.db import Database
from rollcall.directory import people
from rollcall.manifest.applying import apply
from rollcall.manifest.reading import read_manifest
from rollcall.settings import Settings
from rollcall.tenancy import operators, tenants
from rollcall.tenancy.models import Tenant
from rollcall.work import Actor, ActorKind, Fleet, Origin, TenantRef, Work, open_fleet, open_work

UP = Actor(ActorKind.SYSTEM, "rollcall up")
ORIGIN = Origin(request_id="rollcall-up")


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """What it takes to call as a tenant's identity provider."""

    plan: str
    scim_token: str
    admin: str = ""
    """The userName of an active admin, if there is one."""


@dataclass(slots=True)
class Credentials:
    """Everything made for trying; the database holds only digests of it."""

    operator_key: str = ""
    application_key: str = ""
    tenants: dict[str, TenantAccess] = field(default_factory=dict[str, TenantAccess])

    def for_programs(self, base_url: str) -> dict[str, Any]:
        """The ready file: addresses, keys, and each tenant's plan and token."""
        return {
            "base_url": base_url,
            "scim_url": f"{base_url}/scim/v2",
            "console_url": f"{pages_address(base_url)}/console/",
            "operator_key": self.operator_key,
            "application_key": self.application_key,
            "tenants": {slug: asdict(access) for slug, access in self.tenants.items()},
        }

    def for_shells(self, base_url: str) -> str:
        """The same for one tenant, as variables of a shell."""
        slug, shown = self.to_show()
        variables = {
            "ROLLCALL_URL": base_url,
            "SCIM_URL": f"{base_url}/scim/v2",
            "SCIM_TOKEN": shown.scim_token,
            "TENANT": slug,
            "OPERATOR_KEY": self.operator_key,
            "APPLICATION_KEY": self.application_key,
        }
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())

    def to_show(self) -> tuple[str, TenantAccess]:
        """A tenant whose token works at once: one on a plan other than the smallest."""
        paying = [(slug, access) for slug, access in self.tenants.items() if access.plan != "free"]
        return (paying or list(self.tenants.items()))[0]


def commands_for_shells(environment: Mapping[str, str]) -> str:
    """What lets this installation's commands be run in a shell: its settings, and the command itself."""
    settings = {name: value for name, value in environment.items() if name.startswith("ROLLCALL_")}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items())]
    return "\n".join([*lines, f'rollcall() {{ {shlex.quote(sys.executable)} -m rollcall "$@"; }}'])


async def issue_missing(
    settings: Settings, path: Path, manifest_path: Path, *, say: Callable[[str], None]
) -> Credentials:
    """Apply the manifest, and issue what the file at *path* lacks or what the database no longer knows.

    Raises:
        ManifestInvalid: the manifest can't be read or applied; the message says where.
    """
    manifest = read_manifest(manifest_path)
    kept = _recall(path)
    database = await db.connect(settings)
    try:
        async with open_fleet(database, UP, ORIGIN) as fleet:
            changes = await apply(fleet, manifest, progress=say)
            for change in changes:
                say(f"  {change}")
            say(f"{manifest_path.name} is applied.")
            every = await tenants.every(fleet)
            kept.operator_key = await _key(fleet, TokenKind.OPERATOR, kept.operator_key)
            kept.application_key = await _key(fleet, TokenKind.APPLICATION, kept.application_key)
        # Those of the file first, in its order: the first of them is the one that is shown.
        stored = {tenant.slug: tenant for tenant in every}
        order = [*manifest.tenants, *(slug for slug in stored if slug not in manifest.tenants)]
        kept.tenants = {slug: await _access(database, stored[slug], kept) for slug in order}
    finally:
        await database.close()
    write_private(path, json.dumps(asdict(kept), indent=2))
    return kept


async def _key(fleet: Fleet, kind: TokenKind, kept: str) -> str:
    token = read_token(kept)
    if token is not None and await operators.is_live(fleet, token.id, token.digest):
        return kept
    return await operators.issue_key(fleet, kind, label="rollcall up")


async def _access(database: Database, tenant: Tenant, kept: Credentials) -> TenantAccess:
    """The tenant's token, the kept one if it still works."""
    known = kept.tenants.get(tenant.slug)
    token = None if known is None else read_token(known.scim_token)
    async with open_work(database, TenantRef(tenant.id, tenant.slug), UP, ORIGIN) as work:
        admin = await _first_admin(work)
        admin_name = "" if admin is None else admin.user_name
        if known is not None and token is not None and await tokens.is_live(work, token.id, token.digest):
            return TenantAccess(tenant.plan, known.scim_token, admin_name)
        by_ops = tenant.token_issuing == "ops"  # noqa: S105  # a policy's name
        owner_id = None if by_ops or admin is None else admin.id
        new = await tokens.issue(work, label="rollcall up", scopes=[Scope.SCIM], owner_id=owner_id)
        return TenantAccess(tenant.plan, new.text, admin_name)


async def _first_admin(work: Work) -> Account | None:
    _, everybody = await people.every(work, limit=200)
    return next((person.account for person in everybody if person.account.is_admin and person.account.active), None)


def _recall(path: Path) -> Credentials:
    try:
        kept = json.loads(path.read_text())
        return Credentials(
            operator_key=kept["operator_key"],
            application_key=kept["application_key"],
            tenants={slug: TenantAccess(**access) for slug, access in kept["tenants"].items()},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Credentials()


def secret_key(path: Path) -> str:
    """The key kept at *path*, made and written down before anything is sealed under it."""
    if not path.exists():
        write_private(path, new_secret_key())
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    Path(temporary).replace(path)
