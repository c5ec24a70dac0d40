"""The embedded engines, PostgreSQL and Valkey, for trying, developing and testing; production brings its own.

Each is started, watched and stopped here and talks TCP on 127.0.0.1; nothing else knows that it is embedded.
Hold `lock` on the data directory while they run: a start ends whatever an earlier one left in the same place.
"""

from rollcall.engines.errors import AlreadyRunning, EngineFailed
from rollcall.engines.folder import lock
from rollcall.engines.postgres import Postgres
from rollcall.engines.valkey import Valkey

__all__ = ["AlreadyRunning", "EngineFailed", "Postgres", "Valkey", "lock"]
