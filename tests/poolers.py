"""PgBouncer before a test's database, where this machine has one."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from rollcall.engines.processes import free_port

PGBOUNCER = shutil.which("pgbouncer")


@asynccontextmanager
async def pooled(database_url: SecretStr, folder: Path, mode: str, **options: int) -> AsyncGenerator[SecretStr]:
    """The address of a PgBouncer before this database."""
    assert PGBOUNCER is not None
    server, port = urlsplit(database_url.get_secret_value()), free_port(None)
    (folder / "users").write_text(f'"{server.username}" "{server.password}"\n')
    lines = [
        "[databases]",
        f"pooled = host={server.hostname} port={server.port} dbname={server.path.strip('/')}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = trust",
        f"auth_file = {folder / 'users'}",
        f"pool_mode = {mode}",
        *(f"{name} = {value}" for name, value in options.items()),
    ]
    (folder / "pgbouncer.ini").write_text("\n".join(lines))
    unprivileged = ["-u", "nobody"] if os.geteuid() == 0 else []
    for each in (folder, *folder.parents):
        with suppress(PermissionError):
            if each.is_relative_to(folder.parent.parent):
                each.chmod(0o755)
    process = await asyncio.create_subprocess_exec(PGBOUNCER, "-q", *unprivileged, str(folder / "pgbouncer.ini"))
    try:
        for _ in range(100):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.1)
        yield SecretStr(f"postgresql://{server.username}:{server.password}@127.0.0.1:{port}/pooled")
    finally:
        process.terminate()
        await process.wait()


def keeps_statements() -> bool:
    """Whether the PgBouncer of this machine can keep named statements."""
    assert PGBOUNCER is not None
    said = subprocess.run([PGBOUNCER, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"(\d+)\.(\d+)", said)
    assert number is not None
    return (int(number[1]), int(number[2])) >= (1, 21)
