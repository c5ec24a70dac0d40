"""What an operator has set of the console: how long a session is good unused, how long a sign-in is fresh."""

from dataclasses import dataclass
from datetime import timedelta

from rollcall.settings import Settings


@dataclass(frozen=True, slots=True)
class ConsoleTerms:
    """What every page of the console goes by."""

    idle: timedelta
    fresh: timedelta
    framed_by: tuple[str, ...]
    """Origins whose pages may show in a frame what a portal link opens."""
    sends_mail: bool
    """Whether there is a mail server, so that codes can be mailed."""

    @classmethod
    def of(cls, settings: Settings) -> "ConsoleTerms":
        """Those of an installation."""
        return cls(
            timedelta(minutes=settings.console_idle_minutes),
            timedelta(minutes=settings.console_fresh_minutes),
            settings.frame_ancestors,
            settings.smtp_url is not None,
        )
