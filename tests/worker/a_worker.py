"""``rollcall``, whose worker has some tasks of the tests' own: one for each way in which a task can end."""

import asyncio
import time
from typing import Any
from uuid import UUID

from sqlalchemy import text

from rollcall.cli.main import main
from rollcall.work import TenantRef
from rollcall.worker import tasks
from rollcall.worker.base import Task, TryAgain


async def note(task: Task, tenant_id: str, said: str, seconds: float = 0) -> None:
    """Write something down about everybody in a tenant, and take *seconds* before that counts."""
    async with task.work(TenantRef(UUID(tenant_id), ""), "a test") as work:
        await work.db.execute(text("UPDATE accounts SET deactivated_because = :said"), {"said": said})
        await asyncio.sleep(seconds)


async def again(task: Task) -> None:
    """Say that it could not be done now."""
    msg = "the moon is away"
    raise TryAgain(msg)


async def broken(task: Task) -> None:
    """Raise what nobody expects."""
    msg = "broken for good"
    raise TimeoutError(msg)


async def deaf(task: Task) -> None:
    """Keep the process's loop from everything else."""
    time.sleep(600)  # noqa: ASYNC251  # that is what it is for


def register(app: Any) -> None:
    """Our own tasks and these."""
    _register(app)
    app.task(base=Task, bind=True, name="try.note", seconds=1.0)(note)
    app.task(base=Task, bind=True, name="try.again")(again)
    app.task(base=Task, bind=True, name="try.broken")(broken)
    app.task(base=Task, bind=True, name="try.deaf", seconds=1.0, time_limit=2.0)(deaf)


_register = tasks.register

if __name__ == "__main__":
    tasks.register = register
    main()
