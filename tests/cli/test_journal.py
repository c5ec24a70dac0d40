"""``rollcall audit``: a tenant's, and the installation's."""

import json

from cli.shell import Shell
from factories import Callers, a_tenant
from rollcall.settings import Settings


async def test_audits(settings: Settings, callers: Callers) -> None:
    """Ops read a tenant's audit by its slug, and with ``--installation`` what concerns no single tenant."""
    rollcall, acme = Shell(settings), await a_tenant(callers)
    await callers.operator.get("/v1/tenants/no-such-tenant", headers={"X-Request-Id": "for-the-installation"})

    of_tenant = await rollcall("audit", acme.slug, "--json")
    of_all = await rollcall("audit", "--installation", "--outcome", "refused", "--json")

    assert "tenant.created" in {json.loads(line)["action"] for line in of_tenant.out.splitlines()}, of_tenant.err
    found = [json.loads(line) for line in of_all.out.splitlines()]
    assert "for-the-installation" in {entry["request_id"] for entry in found}, of_all.err
    assert {entry["outcome"] for entry in found} == {"refused"}


async def test_neither_and_both(settings: Settings) -> None:
    """Which audit is meant has to be said, and only one; the installation has no people."""
    for words in (["audit"], ["audit", "acme", "--installation"], ["audit", "--installation", "--person", "maria"]):
        said = await Shell(settings)(*words)
        assert said.code == 2
        assert "tenant" in said.err
