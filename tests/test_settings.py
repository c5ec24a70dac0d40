"""Settings: read once from the environment, refused in words, and no secret shown by accident."""

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from rollcall.cli.main import main
from rollcall.crypto import new_secret_key
from rollcall.settings import Settings, migrations_folder, read_settings

ENVIRONMENT = {
    "ROLLCALL_DATABASE_URL": "postgresql://web:s3cret@db/rollcall",
    "ROLLCALL_REDIS_URL": "redis://:s3cret@cache:6379/0",
    "ROLLCALL_SECRET_KEYS": "czNjcmV0LXMzY3JldC1zM2NyZXQtczNjcmV0LXMzY3I=",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What has to be set, and nothing else of ours."""
    for name in list(Settings.model_fields):
        monkeypatch.delenv(f"ROLLCALL_{name.upper()}", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_least() -> None:
    """Two addresses and a key are enough; everything else has a default fit for production."""
    settings = read_settings()
    assert settings.database_url.get_secret_value() == ENVIRONMENT["ROLLCALL_DATABASE_URL"]
    assert settings.environment == "production"
    assert settings.migration_database_url is None


@pytest.mark.parametrize("missing", sorted(ENVIRONMENT))
def test_no_default_for_a_secret(environment: pytest.MonkeyPatch, missing: str) -> None:
    """Without one of them the program does not start, and says which."""
    environment.delenv(missing)
    with pytest.raises(ValidationError, match=missing.removeprefix("ROLLCALL_").lower()):
        read_settings()


@pytest.mark.parametrize(
    "pasted",
    ["postgres://web:x@db/r", "postgresql+asyncpg://web:x@db/r", "postgresql+psycopg://web:x@db/r"],
)
def test_addresses_as_people_paste_them(environment: pytest.MonkeyPatch, pasted: str) -> None:
    """Other schemes and drivers of PostgreSQL are taken for what they mean."""
    environment.setenv("ROLLCALL_DATABASE_URL", pasted)
    environment.setenv("ROLLCALL_MIGRATION_DATABASE_URL", pasted)
    settings = read_settings()
    assert settings.database_url.get_secret_value() == "postgresql://web:x@db/r"
    assert settings.migration_database_url is not None
    assert settings.migration_database_url.get_secret_value() == "postgresql://web:x@db/r"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://web@db/r"),
        ("DATABASE_URL", "db.internal"),
        ("PUBLIC_URL", "rollcall.example.com"),
        ("ENVIRONMENT", "staging"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_POOL_SIZE", "0"),
        ("OUTBOX_POLL_SECONDS", "0"),
        ("OUTBOX_LEASE_SECONDS", "-1"),
    ],
)
def test_what_can_not_be(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that can't be is refused at the start, by its name."""
    environment.setenv(f"ROLLCALL_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        read_settings()


def test_secrets_are_not_shown() -> None:
    """Settings that are printed or dumped show no password."""
    settings = read_settings()
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings.model_dump())
    assert "s3cret" not in settings.model_dump_json()


def test_frozen() -> None:
    """Nobody changes settings while the program runs."""
    with pytest.raises(ValidationError, match="frozen"):
        read_settings().environment = "development"


def test_public_address(environment: pytest.MonkeyPatch) -> None:
    """A slash at the end of the public address makes no double slash in locations."""
    environment.setenv("ROLLCALL_PUBLIC_URL", "https://people.example.com/")
    assert read_settings().public_url == "https://people.example.com"


def test_trusted_proxies(environment: pytest.MonkeyPatch) -> None:
    """Nobody's X-Forwarded-For is believed unless their address is listed."""
    assert read_settings().trusted_proxies == ()
    environment.setenv("ROLLCALL_TRUSTED_PROXIES", '["10.0.0.1", "10.0.0.2"]')
    assert read_settings().trusted_proxies == ("10.0.0.1", "10.0.0.2")


def test_other_variables(environment: pytest.MonkeyPatch) -> None:
    """Variables with our prefix that mean nothing to us stop nothing."""
    environment.setenv("ROLLCALL_UNHEARD_OF", "1")
    read_settings()


def test_migrations_are_found() -> None:
    """The migrations are there, in a checkout as in an installed wheel."""
    assert (migrations_folder() / "env.py").is_file()


def test_secret_keys_are_a_list(environment: pytest.MonkeyPatch) -> None:
    """Several keys are separated by commas, spaces do not matter, and their order is kept."""
    first, second = new_secret_key(), new_secret_key()
    environment.setenv("ROLLCALL_SECRET_KEYS", f" {first} ,{second},")
    assert [key.get_secret_value() for key in read_settings().secret_keys] == [first, second]


@pytest.mark.parametrize("given", ["", " , ", "hunter2", "[]", f"{'A' * 43}=,short"])
def test_secret_keys_of_another_shape(environment: pytest.MonkeyPatch, given: str) -> None:
    """No key, or one that is none, stops the start, and the error repeats nothing of it."""
    environment.setenv("ROLLCALL_SECRET_KEYS", given)
    with pytest.raises(ValidationError, match="secret_keys") as refused:
        read_settings()
    assert not given.strip() or given not in str(refused.value)


def test_a_missing_key_says_how_to_make_one(environment: pytest.MonkeyPatch) -> None:
    """Without a key a command ends with a line that names the command which makes one."""
    environment.delenv("ROLLCALL_SECRET_KEYS")
    said = CliRunner().invoke(main, ["relay"])
    assert said.exit_code == 1
    assert "ROLLCALL_SECRET_KEYS" in said.stderr
    assert "'rollcall secret'" in said.stderr
    made = CliRunner().invoke(main, ["secret"])
    environment.setenv("ROLLCALL_SECRET_KEYS", made.stdout)
    assert read_settings().secret_keys


@pytest.mark.parametrize(("given", "ports"), [("443", (443,)), ("443, 9443", (443, 9443)), ("[443,8443]", (443, 8443))])
def test_destination_ports(environment: pytest.MonkeyPatch, given: str, ports: tuple[int, ...]) -> None:
    """The ports of destinations are named with commas; two are allowed where nothing is said."""
    assert read_settings().destination_ports == (443, 8443)
    environment.setenv("ROLLCALL_DESTINATION_PORTS", given)
    assert read_settings().destination_ports == ports


@pytest.mark.parametrize("given", ["", "0", "65536", "https", "443;8443"])
def test_no_destination_ports(environment: pytest.MonkeyPatch, given: str) -> None:
    """What is no port is refused when the program starts."""
    environment.setenv("ROLLCALL_DESTINATION_PORTS", given)
    with pytest.raises(ValidationError, match="destination_ports"):
        read_settings()
