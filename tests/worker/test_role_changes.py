"""A large change of roles, brought to people by real workers, one of which is killed in the middle."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from factories import DART_RULE, Callers, a_tenant
from rollcall.broker import HOUSEKEEPING
from rollcall.cli.embedded import Engines
from rollcall.db import Connection
from rollcall.settings import Settings
from rollcall.worker import tasks
from worker.test_base import a_worker

pytestmark = pytest.mark.slow

CROWD = 3000
BATCH = 500
TURNS = 20

_PEOPLE = """
WITH made AS (
    INSERT INTO accounts (tenant_id, user_name, active, role, is_admin, role_state)
    SELECT a.tenant_id, 'p' || n, true, 'member', false,
           a.role_state || '{"role": "member", "origin": "default", "by_hand": null}'
      FROM accounts a, generate_series(1, $2::integer) n WHERE a.id::text = $1 RETURNING *)
INSERT INTO users (tenant_id, id, account_id, user_name_key, active, document)
SELECT tenant_id, id, id, user_name, true, jsonb_build_object('userName', user_name) FROM made
"""
_GUESTS = "SELECT count(*) FROM accounts WHERE tenant_id = $1 AND role = 'guest'"
_TOLD = "SELECT count(*) FROM outbox WHERE tenant_id = $1 AND topic = 'user.role_changed'"
_LEFT = "SELECT count(*) FROM role_change_people WHERE tenant_id = $1"
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.mark.bound(300)
async def test_killed_in_the_middle(
    engines: Engines,
    settings: Settings,
    callers: Callers,
    owner: Connection,
    rival: Connection,
    tmp_path: Path,
) -> None:
    """A worker that is killed within a batch loses nothing: the next one brings the change to everybody, once."""
    tenant = await a_tenant(callers)
    tenant_id = UUID(tenant.id)
    await owner.execute(_PEOPLE, tenant.admin["id"], CROWD)
    answer = await callers.operator.put(f"{tenant.v1}/role-rule", json={**DART_RULE, "default": "guest"})
    assert answer.json()["applied"]["left"] == CROWD
    third = "SELECT account_id FROM role_change_people WHERE tenant_id = $1 ORDER BY account_id OFFSET $2 LIMIT 1"
    in_the_third = await owner.fetchval(third, tenant_id, 2 * BATCH + BATCH // 2)

    with a_worker(engines, settings, tmp_path, HOUSEKEEPING) as first:
        async with rival.transaction():
            await rival.fetchrow("SELECT FROM accounts WHERE id = $1 FOR UPDATE", in_the_third)
            for _ in range(TURNS):  # a worker's turn is short, and on a busy machine a batch may be long
                first.send(tasks.BRING_ROLES, tenant.id, "the edit")
            while await owner.fetchval(_LEFT, tenant_id) > CROWD - 2 * BATCH or not await owner.fetchval(_WAITING):
                assert first.process.poll() is None
                await asyncio.sleep(0.02)
            first.process.kill()
            first.process.wait(60)
    assert await owner.fetchval(_GUESTS, tenant_id) == await owner.fetchval(_TOLD, tenant_id) == 2 * BATCH
    assert await owner.fetchval(_LEFT, tenant_id) == CROWD - 2 * BATCH

    with a_worker(engines, settings, tmp_path, HOUSEKEEPING) as second:
        while await owner.fetchval(_LEFT, tenant_id):
            assert second.process.poll() is None
            second.send(tasks.BRING_ROLES, tenant.id, "the edit")
            await asyncio.sleep(0.5)
        second.celery.control.purge()
    assert await owner.fetchval(_GUESTS, tenant_id) == await owner.fetchval(_TOLD, tenant_id) == CROWD
