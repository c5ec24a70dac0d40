"""Sessions are told apart by the browser they were opened in."""

import pytest

from rollcall.console.browsers import browser_named

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize(
    ("user_agent", "named"),
    [
        (CHROME, "Chrome on Windows"),
        (f"{CHROME} Edg/141.0.0.0", "Edge on Windows"),
        (f"{CHROME} OPR/120.0.0.0", "Opera on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) CriOS/141.0 Mobile Safari/604.1", "Chrome on iPad"),
        ("Mozilla/5.0 (Linux; Android 10; K) Chrome/141.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "A browser"),
        ("<script>alert(1)</script>", "A browser"),
        ("", "A browser"),
    ],
    ids=["chrome", "edge", "opera", "firefox", "safari", "iphone", "ipad", "android", "curl", "markup", "silent"],
)
def test_named(user_agent: str, named: str) -> None:
    """A browser is named in words of ours, never in its own."""
    assert browser_named(user_agent) == named
