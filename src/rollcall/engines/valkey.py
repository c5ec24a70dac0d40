"""The embedded Valkey: a queue and a cache that keeps nothing on disk."""

import signal
import socket
import subprocess
from typing import ClassVar

from rollcall.engines import programs
from rollcall.engines.engine import Engine
from rollcall.engines.processes import Account, Steps, give, spawn, whispered

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir ./
save ""
appendonly no
maxmemory-policy noeviction
"""


class Valkey(Engine):
    """One Valkey server. What it held is gone when it ends, as befits a queue that is fed from an outbox."""

    title = "Valkey"
    name = "valkey"
    program = "valkey-server"
    farewell: ClassVar[Steps] = ((signal.SIGTERM, 10),)

    @property
    def url(self) -> str:
        """The way in to its first database."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _prepare(self, account: Account | None) -> None:
        give(self._folder, account)
        self._end_leftovers()

    def _launch(self, account: Account | None, port: int) -> subprocess.Popen[bytes]:
        """Start it, configured by standard input: on the command line all could read the password."""
        configuration = CONFIGURATION.format(port=port, password=self.password)
        title = f"{{title}} {{listen-addr}} {self._mark()}"
        with self.log.open() as output, whispered(configuration, account) as stdin:
            return spawn(
                [programs.valkey(account), "-", "--proc-title-template", title],
                folder=self._folder,
                account=account,
                output=output,
                stdin=stdin,
                when_orphaned=signal.SIGTERM,
            )

    def _answers(self, port: int) -> bool:
        """Whether the one that answers knows our password."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as replies:
                    return replies.readline() == b"+OK\r\n" and replies.readline() == b"+PONG\r\n"
        except OSError:
            return False
