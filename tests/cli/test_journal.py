"""``rollcall audit``: a tenant's, and the installation's."""

import json

from cli.shell import rollcall
from factories import Callers, a_tenant
from rollcall.settings import Settings


async def test_audits(settings: Settings, callers: Callers) -> None:
    """Ops read a tenant's audit by its slug, and with ``--installation`` what concerns no single tenant."""
    acme = await a_tenant(callers)
    await callers.operator.get("/v1/tenants/no-such-tenant", headers={"X-Request-Id": "for-the-installation"})

    of_tenant = rollcall(settings, "audit", acme.slug, "--json")
    of_all = rollcall(settings, "audit", "--installation", "--outcome", "refused", "--json")

    assert "tenant.created" in {json.loads(line)["action"] for line in of_tenant.stdout.splitlines()}, of_tenant.stderr
    found = [json.loads(line) for line in of_all.stdout.splitlines()]
    assert "for-the-installation" in {entry["request_id"] for entry in found}, of_all.stderr
    assert {entry["outcome"] for entry in found} == {"refused"}


def test_neither_and_both(settings: Settings) -> None:
    """Which audit is meant has to be said, and only one; the installation has no people."""
    for words in (["audit"], ["audit", "acme", "--installation"], ["audit", "--installation", "--person", "maria"]):
        said = rollcall(settings, *words)
        assert said.returncode == 2
        assert "tenant" in said.stderr
