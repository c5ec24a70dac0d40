"""Settings: read once from the environment, refused in words, and no secret shown by accident."""

import json
import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from rollcall.cli.main import main
from rollcall.crypto import new_secret_key
from rollcall.environment import SettingsInvalid, is_secret
from rollcall.settings import Settings, examine_environment, migrations_folder, read_settings

ENVIRONMENT = {
    "ROLLCALL_DATABASE_URL": "postgresql://web:s3cret@db/rollcall",
    "ROLLCALL_REDIS_URL": "redis://:s3cret@cache:6379/0",
    "ROLLCALL_SECRET_KEYS": "czNjcmV0LXMzY3JldC1zM2NyZXQtczNjcmV0LXMzY3I=",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What has to be set, and nothing else of ours."""
    for name in [each for each in os.environ if each.startswith("ROLLCALL_")]:
        monkeypatch.delenv(name)
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
    with pytest.raises(SettingsInvalid, match=f"{missing} is not set: set it to .*{missing}_FILE"):
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
        ("DATABASE_URL", "postgresql://web:p#ss@db/r"),
        ("DATABASE_URL", "postgresql://web:x@db:port/r"),
        ("DATABASE_URL", "postgresql://web:x@[::1/r"),
        ("MIGRATION_DATABASE_URL", "db.internal"),
        ("REDIS_URL", "cache:6379"),
        ("REDIS_URL", "redis://cache:port/0"),
        ("REDIS_URL", "redis://cache/zero"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://[people/"),
        ("ALLOW_PRIVATE_DESTINATIONS", "perhaps"),
        ("DELIVERY_TIMEOUT_SECONDS", "nan"),
        ("DATABASE_POOL_SIZE", "many"),
        ("TRUSTED_PROXIES", "10.0.0.1,proxy"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", '["10.0.0.1"'),
        ("TRUSTED_PROXIES", "[1]"),
        ("PASSKEY_ORIGINS", "app.example.com"),
        ("PASSKEY_ORIGINS", "https://app.example.com/path"),
        ("PASSKEY_RP_ID", "https://example.com"),
        ("PUBLIC_URL", "rollcall.example.com"),
        ("ENVIRONMENT", "staging"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_POOL_SIZE", "0"),
        ("OUTBOX_POLL_SECONDS", "0"),
        ("OUTBOX_LEASE_SECONDS", "-1"),
    ],
)
def test_what_can_not_be(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that can't be is refused at the start, by its name and in our words, by every command alike."""
    environment.setenv(f"ROLLCALL_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"^ROLLCALL_{name} (is|holds|must|begins|names)") as refused:
        read_settings()
    assert not re.search(r"(?i)pydantic|value error|input should|traceback|unable to", str(refused.value))
    said = CliRunner().invoke(main, ["relay"])
    assert (said.exit_code, type(said.exception)) == (1, SystemExit)
    assert str(refused.value) in said.stderr
    assert "p#ss" not in said.output


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
    for given in ('["10.0.0.1", "2001:db8::/32"]', "10.0.0.1,2001:db8::/32", " 10.0.0.1 , 2001:db8::/32, "):
        environment.setenv("ROLLCALL_TRUSTED_PROXIES", given)
        assert read_settings().trusted_proxies == (ip_network("10.0.0.1"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    "given", ['["https://a.example", "https://b.example"]', "https://a.example/, https://b.example"]
)
def test_origins(environment: pytest.MonkeyPatch, given: str) -> None:
    """The pages of passkeys are a list with commas, or in JSON."""
    environment.setenv("ROLLCALL_PASSKEY_ORIGINS", given)
    assert read_settings().passkey_origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("given", ["info", "Info", "INFO"])
def test_log_levels(environment: pytest.MonkeyPatch, given: str) -> None:
    """A log level is one however it is capitalised."""
    environment.setenv("ROLLCALL_LOG_LEVEL", given)
    assert read_settings().log_level == "INFO"


def test_all_errors_at_once(environment: pytest.MonkeyPatch) -> None:
    """Whoever has made three mistakes reads about three, and of a misspelt name what was meant."""
    environment.delenv("ROLLCALL_DATABASE_URL")
    environment.setenv("ROLLCALL_DATABSE_URL", "postgresql://web:s3cret@db/rollcall")
    environment.setenv("ROLLCALL_ENVIRONMENT", "prod")
    environment.setenv("ROLLCALL_DATABASE_POOL_SIZE", "0")
    with pytest.raises(SettingsInvalid) as refused:
        read_settings()
    assert str(refused.value).splitlines() == [
        (
            "ROLLCALL_DATABASE_URL is not set: set it to the address of a PostgreSQL, such as "
            "postgresql://user:password@host:5432/rollcall; or set ROLLCALL_DATABASE_URL_FILE to a file that holds it."
        ),
        "ROLLCALL_ENVIRONMENT must be production or development; “prod” is not.",
        "ROLLCALL_DATABASE_POOL_SIZE must be a whole number from 1 up to 100; “0” is not.",
        "ROLLCALL_DATABSE_URL is no setting of Rollcall and changes nothing; did you mean ROLLCALL_DATABASE_URL?",
    ]


def test_other_variables(environment: pytest.MonkeyPatch) -> None:
    """Variables with our prefix that mean nothing to us stop nothing, and are told of; those of examples are not."""
    for name in ("UNHEARD_OF", "LOG_LEVLE", "LOG_LEVEL_FILE", "URL"):
        environment.setenv(f"ROLLCALL_{name}", "1")
    reading = examine_environment()
    assert reading.settings is not None
    assert [(each.variable, each.meant) for each in reading.unknown] == [
        ("ROLLCALL_LOG_LEVEL_FILE", "ROLLCALL_LOG_LEVEL"),
        ("ROLLCALL_LOG_LEVLE", "ROLLCALL_LOG_LEVEL"),
        ("ROLLCALL_UNHEARD_OF", None),
    ]


def test_empty_variables(environment: pytest.MonkeyPatch) -> None:
    """A variable that nobody filled in counts as not set."""
    environment.setenv("ROLLCALL_MIGRATION_DATABASE_URL", "")
    environment.setenv("ROLLCALL_PASSKEY_RP_NAME", " ")
    assert (read_settings().migration_database_url, read_settings().passkey_rp_name) == (None, "Rollcall")


@pytest.mark.parametrize("name", ["DATABASE_URL", "MIGRATION_DATABASE_URL", "REDIS_URL", "SECRET_KEYS"])
def test_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Every secret may stand in a file, with the line's end that editors put there; given twice it is refused."""
    value = ENVIRONMENT.get(f"ROLLCALL_{name}", ENVIRONMENT["ROLLCALL_DATABASE_URL"])
    (tmp_path / "secret").write_text(f"{value}\n")
    environment.setenv(f"ROLLCALL_{name}_FILE", str(tmp_path / "secret"))
    environment.delenv(f"ROLLCALL_{name}", raising=False)
    read: Any = getattr(read_settings(), name.lower())
    assert (read[0] if name == "SECRET_KEYS" else read).get_secret_value() == value
    assert is_secret(Settings.model_fields[name.lower()])

    environment.setenv(f"ROLLCALL_{name}", value)
    with pytest.raises(SettingsInvalid, match=f"^ROLLCALL_{name} and ROLLCALL_{name}_FILE are both set") as refused:
        read_settings()
    assert len(refused.value.problems) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read (No such file or directory)"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"x" * 70_000, "is longer than 65536 bytes"),
        (b"s3cret", "is no PostgreSQL address"),
    ],
)
def test_files_that_can_not_be(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, said: str
) -> None:
    """A file that is missing, or holds no such thing, is named, and what it holds is not."""
    environment.delenv("ROLLCALL_DATABASE_URL")
    environment.setenv("ROLLCALL_DATABASE_URL_FILE", str(tmp_path / "secret"))
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SettingsInvalid, match=f"^ROLLCALL_DATABASE_URL_FILE .*{re.escape(said)}") as refused:
        read_settings()
    assert len(refused.value.problems) == 1
    assert "s3cret" not in str(refused.value)


def shown(*words: str) -> tuple[int, str, str]:
    """What ``rollcall config`` prints."""
    said = CliRunner().invoke(main, ["config", *words])
    assert said.exception is None or isinstance(said.exception, SystemExit)
    return said.exit_code, said.stdout, said.stderr


def test_config(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All settings are printed with whence they come; of an address everything but its password, of a key nothing."""
    (tmp_path / "redis").write_text("redis://:s3cret@cache:6379/0")
    environment.delenv("ROLLCALL_REDIS_URL")
    environment.setenv("ROLLCALL_REDIS_URL_FILE", str(tmp_path / "redis"))
    environment.setenv("ROLLCALL_DATABASE_URL", "postgresql://web:s3cret@db/r?sslmode=require&sslpassword=s3cret")
    environment.setenv("ROLLCALL_TRUSTED_PROXIES", "10.0.0.0/8,::1")
    code, said, _ = shown()
    assert code == 0
    for line in (
        "ROLLCALL_DATABASE_URL = postgresql://web:***@db/r?sslmode=require&sslpassword=***  (environment)",
        f"ROLLCALL_REDIS_URL = redis://:***@cache:6379/0  ({tmp_path / 'redis'})",
        "ROLLCALL_SECRET_KEYS = ***  (environment)",
        "ROLLCALL_MIGRATION_DATABASE_URL = not set  (default)",
        "ROLLCALL_ALLOW_PRIVATE_DESTINATIONS = false  (default)",
        "ROLLCALL_TRUSTED_PROXIES = 10.0.0.0/8, ::1/128  (environment)",
    ):
        assert line in said.splitlines()
    code, as_json, _ = shown("--json")
    facts = {each["name"]: each for each in json.loads(as_json)["settings"]}
    assert set(facts) == {f"ROLLCALL_{name.upper()}" for name in Settings.model_fields}
    assert facts["ROLLCALL_LOG_LEVEL"] == {
        "name": "ROLLCALL_LOG_LEVEL",
        "value": "INFO",
        "source": "default",
        "said": "The least severe level that is logged: 'DEBUG', 'INFO', 'WARNING' or 'ERROR'.",
        "problem": None,
    }
    assert all(each["said"] for each in facts.values())
    assert "s3cret" not in said + as_json
    assert ENVIRONMENT["ROLLCALL_SECRET_KEYS"] not in said + as_json


def test_config_says_what_is_wrong(environment: pytest.MonkeyPatch) -> None:
    """With mistakes everything is printed all the same, each mistake beside its setting, and the exit code is 1."""
    environment.setenv("ROLLCALL_DATABASE_URL", "postgresql://web:s3cret#@db/r")
    environment.setenv("ROLLCALL_LOG_LEVLE", "DEBUG")
    code, said, beside = shown()
    assert code == 1
    assert "    It is no address: its host or its port can't be read" in said
    assert "ROLLCALL_REDIS_URL = ***  (environment)" in said
    assert "did you mean ROLLCALL_LOG_LEVEL?" in beside
    code, as_json, _ = shown("--json")
    assert (code, json.loads(as_json)["unknown"]) == (
        1,
        [{"variable": "ROLLCALL_LOG_LEVLE", "meant": "ROLLCALL_LOG_LEVEL"}],
    )
    assert "s3cret" not in said + beside + as_json


def test_docs() -> None:
    """The table of settings in docs/operations.md has a line for each, in the words of its docstring."""
    operations = (Path(__file__).parents[1] / "docs/operations.md").read_text()
    table = [line for line in operations.splitlines() if line.startswith("| `ROLLCALL_")]
    wanted: list[str] = []
    for name, field in Settings.model_fields.items():
        said = " ".join((field.description or "").split()).replace("``", "`").rstrip(".")
        wanted.append(f"| `ROLLCALL_{name.upper()}` | {said[0].upper()}{said[1:]} |")
    assert table == wanted, "put these lines there:\n" + "\n".join(wanted)


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
    with pytest.raises(SettingsInvalid, match=r"^ROLLCALL_SECRET_KEYS .* 'rollcall secret'") as refused:
        read_settings()
    assert len(given.strip()) < 4 or given not in str(refused.value)


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


@pytest.mark.parametrize("given", ["0", "65536", "https", "443;8443", "443,", "1" * 5000], ids=lambda given: given[:9])
def test_no_destination_ports(environment: pytest.MonkeyPatch, given: str) -> None:
    """What is no port is refused when the program starts."""
    environment.setenv("ROLLCALL_DESTINATION_PORTS", given)
    with pytest.raises(SettingsInvalid, match="ROLLCALL_DESTINATION_PORTS must be ports from 1 to 65535"):
        read_settings()
