"""The embedded Valkey as a client sees it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rollcall.engines import Valkey


def client_of(url: str) -> Any:
    return redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]  its types are not complete
        url, decode_responses=True, retry=Retry(NoBackoff(), 0)
    )


def test_a_client_gets_in_with_the_url_alone(tmp_path: Path, valkey: Callable[[Path], Valkey]) -> None:
    """The URL lets a client in; a wrong password is refused."""
    server = valkey(tmp_path)
    server.start()
    with client_of(server.url) as client:
        assert client.set("it", "works")
        assert client.get("it") == "works"
    with (
        client_of(server.url.replace(server.password, "guessed")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_nothing_is_evicted_or_written(tmp_path: Path, valkey: Callable[[Path], Valkey]) -> None:
    """A full queue refuses rather than forgets, and nothing goes to the disk."""
    server = valkey(tmp_path)
    server.start()
    with client_of(server.url) as client:
        settings = client.config_get("maxmemory-policy", "save", "appendonly", "bind")
        client.set("it", "works")
    server.stop()
    assert settings == {"maxmemory-policy": "noeviction", "save": "", "appendonly": "no", "bind": "127.0.0.1"}
    assert list((tmp_path / "valkey").iterdir()) == []
