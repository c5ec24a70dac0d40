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

from sqlalchemy import exists, select

from rollcall import db
from rollcall.access import tokens
from rollcall.access.authenticators import pages_address
from rollcall.access.models import Account
from rollcall.access.tokens import Scope
from rollcall.crypto import TokenKind, new_secret_key, read_token
from rollcall.db import Database
from rollcall.directory import people
from rollcall.errors import Refusal
from rollcall.manifest.applying import apply
from rollcall.manifest.changes import TenantAdded
from rollcall.manifest.parsing import read_manifest
from rollcall.settings import Settings
from rollcall.tenancy import operators, tenants
from rollcall.tenancy.models import Plan, Tenant
from rollcall.work import Actor, ActorKind, Fleet, RequestOrigin, TenantRef, Work, open_fleet, open_work

UP = Actor(ActorKind.SYSTEM, "rollcall up")
ORIGIN = RequestOrigin(request_id="rollcall-up")


@dataclass(frozen=True, slots=True)
class TenantAccess:
    """What it takes to call as a tenant's identity provider."""

    plan: str
    scim_token: str = ""
    """Empty when none could be issued."""
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
        variables = {
            "ROLLCALL_URL": base_url,
            "SCIM_URL": f"{base_url}/scim/v2",
            "OPERATOR_KEY": self.operator_key,
            "APPLICATION_KEY": self.application_key,
        }
        if (shown := self.to_show()) is not None:
            slug, access = shown
            variables |= {"TENANT": slug, "SCIM_TOKEN": access.scim_token}
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())

    def to_show(self) -> tuple[str, TenantAccess] | None:
        """A tenant whose token works at once: one on a plan other than the smallest. None: there is no token."""
        able = [(slug, access) for slug, access in self.tenants.items() if access.scim_token]
        paying = [(slug, access) for slug, access in able if access.plan != "free"]
        return next(iter(paying or able), None)


def commands_for_shells(environment: Mapping[str, str]) -> str:
    """What lets this installation's commands be run in a shell: its settings, and the command itself."""
    settings = {name: value for name, value in environment.items() if name.startswith("ROLLCALL_")}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(settings.items())]
    return "\n".join([*lines, f'rollcall() {{ {shlex.quote(sys.executable)} -m rollcall "$@"; }}'])


async def issue_missing(
    settings: Settings, path: Path, manifest_path: Path, *, say: Callable[[str], None], apply_anew: bool = False
) -> Credentials:
    """Apply the manifest to a database without plans and tenants, or with *apply_anew* to any; issue what is missing.

    Missing is what the file at *path* lacks or what the database no longer knows. Tokens are issued for tenants that
    came with a manifest here, never for those that somebody else has made.

    Raises:
        ManifestInvalid: the manifest can't be read or applied; the message says where.
    """
    kept = kept_credentials(path)
    database = await db.connect(settings)
    try:
        async with open_fleet(database, UP, ORIGIN) as fleet:
            if apply_anew or not await _holds_anything(fleet):
                for slug, plan in (await _apply(fleet, manifest_path, say)).items():
                    kept.tenants.setdefault(slug, TenantAccess(plan))
                # Before the commit: a start that ends right after it leaves the next one knowing whose tokens are ours.
                _keep(path, kept)
            else:
                say(f"There are plans or tenants already, so {manifest_path.name} is left alone; --apply applies it.")
            kept.operator_key = await _key(fleet, TokenKind.OPERATOR, kept.operator_key)
            kept.application_key = await _key(fleet, TokenKind.APPLICATION, kept.application_key)
            stored = {tenant.slug: tenant for tenant in await tenants.every(fleet)}
        kept.tenants = {
            slug: await _access(database, stored[slug], known, say)
            for slug, known in kept.tenants.items()
            if slug in stored
        }
    finally:
        await database.close()
    _keep(path, kept)
    return kept


async def _holds_anything(fleet: Fleet) -> bool:
    return await fleet.db.scalar(select(exists(select(Plan.key)) | exists(select(Tenant.id)))) is True


async def _apply(fleet: Fleet, path: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Apply a manifest; returns the tenants that it made, with their plans."""
    changes = await apply(fleet, read_manifest(path), progress=say)
    for change in changes:
        say(f"  {change}")
    say(f"{path.name} is applied.")
    return {change.slug: change.terms.plan for change in changes if isinstance(change, TenantAdded)}


async def _key(fleet: Fleet, kind: TokenKind, kept: str) -> str:
    token = read_token(kept)
    if token is not None and await operators.is_live(fleet, token.id, token.digest):
        return kept
    return await operators.issue_key(fleet, kind, label="rollcall up")


async def _access(database: Database, tenant: Tenant, known: TenantAccess, say: Callable[[str], None]) -> TenantAccess:
    """The tenant's token: the known one if it still works, a new one if one can be issued."""
    admin_name = ""
    token = read_token(known.scim_token)
    try:
        async with open_work(database, TenantRef(tenant.id, tenant.slug), UP, ORIGIN) as work:
            admin = await _first_admin(work)
            admin_name = "" if admin is None else admin.user_name
            if token is not None and await tokens.is_live(work, token.id, token.digest):
                return TenantAccess(tenant.plan, known.scim_token, admin_name)
            by_ops = tenant.token_issuing == "ops"  # noqa: S105  # a policy's name
            owner_id = None if by_ops or admin is None else admin.id
            new = await tokens.issue(work, label="rollcall up", scopes=[Scope.SCIM], owner_id=owner_id)
            return TenantAccess(tenant.plan, new.text, admin_name)
    except Refusal as refusal:
        say(f"  ! no token for trying was issued for {tenant.slug}: {refusal.detail}")
        return TenantAccess(tenant.plan, "", admin_name)


async def _first_admin(work: Work) -> Account | None:
    _, everybody = await people.every(work, limit=200)
    return next((person.account for person in everybody if person.account.is_admin and person.account.active), None)


def _keep(path: Path, credentials: Credentials) -> None:
    write_private(path, json.dumps(asdict(credentials), indent=2))


def kept_credentials(path: Path) -> Credentials:
    """What an earlier call of `issue_missing` left at *path*; nothing, if that can't be read."""
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
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
