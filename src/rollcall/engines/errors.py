"""What goes wrong with an embedded engine, told to the person who can put it right."""

OWN_ENGINES = (
    "use engines of your own: set ROLLCALL_DATABASE_URL, ROLLCALL_MIGRATION_DATABASE_URL and ROLLCALL_REDIS_URL"
)


class EngineFailed(RuntimeError):
    """An embedded engine is not there, does not start, or has ended by itself.

    The message tells what happened, how the engine's log ends, and what to do about it.
    """

    def __init__(self, what: str, *, remedy: str, log_tail: str = "") -> None:
        self.what = what
        self.remedy = remedy
        self.log_tail = log_tail
        quoted = "".join(f"\n  | {line}" for line in log_tail.splitlines())
        super().__init__(f"{what}{quoted}\nWhat to do: {remedy}.")


class AlreadyRunning(EngineFailed):
    """Another process has the data directory; *pid* is None while that one is still writing its own down."""

    def __init__(self, place: str, pid: int | None) -> None:
        self.pid = pid
        super().__init__(
            f"already running (pid {'unknown' if pid is None else pid}) with the data directory {place}",
            remedy="stop that one first, or choose another data directory",
        )
