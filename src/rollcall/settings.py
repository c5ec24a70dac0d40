"""What an operator can set: read once at the edge, from the environment."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator

from rollcall import environment
from rollcall.environment import Found, Problem, SettingsInvalid, Unknown
from rollcall.setting_texts import Network, address, is_key, listed, networks, one_of, origin, ports

PREFIX = "ROLLCALL_"

NOT_SETTINGS = ("ROLLCALL_URL", "ROLLCALL_KEY")
"""Variables with our prefix that examples and scripts use; nothing here reads them."""

ENVIRONMENTS = ("production", "development")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
"""What a logo may be, by the ending of its name."""

LARGEST_LOGO = 262_144
"""Bytes."""

DESTINATION_PORTS = (443, 8443)
"""Where destinations may be, unless an operator says otherwise."""


class Settings(BaseModel):
    """Rollcall's settings; each is an environment variable with the prefix ``ROLLCALL_``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    database_url: SecretStr = Field(
        title="the address of a PostgreSQL, such as postgresql://user:password@host:5432/rollcall"
    )
    """PostgreSQL as the running role: it neither owns the tables nor bypasses row-level security."""

    migration_database_url: SecretStr | None = None
    """PostgreSQL as the role that owns the tables; only ``rollcall migrate`` and ``rollcall up`` use it."""

    redis_url: SecretStr = Field(title="the address of a Redis or Valkey, such as redis://host:6379/0")
    """Redis or Valkey: Celery's broker and the shared part of rate limits."""

    secret_keys: Annotated[tuple[SecretStr, ...], BeforeValidator(listed)] = Field(
        min_length=1, title="a key that 'rollcall secret' prints; keep it as you keep a password"
    )
    """Fernet keys, comma separated, that seal what has to be stored and read again; the first seals, all open."""

    public_url: str = "http://127.0.0.1:8000"
    """The address customers reach this installation at: it stands in every ``meta.location``; with ``https`` the
    console's cookies are secure."""

    environment: Annotated[str, one_of(*ENVIRONMENTS)] = "production"
    """``development`` logs for people, ``production`` logs JSON."""

    log_level: Annotated[str, one_of(*LOG_LEVELS)] = "INFO"
    """The least severe level that is logged: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``."""

    access_log: bool = False
    """Log a line for each request: method, route, status, milliseconds, bytes, tenant."""

    database_pool_size: int = Field(default=8, ge=1, le=100)
    """Connections a web process may have for its hot paths. Management work has as many of its own, half of them only
    while it needs them, and introspection, the console's sessions and readiness have half as many."""

    database_pool_share: int = Field(default=3, ge=1, le=100)
    """Connections that one tenant may hold of a process's hot paths, of its management work, and of its introspection:
    further calls wait for their turn. One connection is always left for the others, where there are several."""

    database_pool_waiting: int = Field(default=100, ge=1, le=10_000)
    """Calls of one tenant that may wait for a connection of a process; further ones are 503, and so is one that has
    waited 5 seconds. Introspection may wait in any number."""

    management_rate_per_second: int = Field(default=50, ge=0, le=10_000)
    """Calls that the admins of one tenant may make to the management API in a second, over all processes; a page costs
    one for each 50 entries that it may have. 0 means no limit. Keys of operators and applications have none."""

    management_burst: int = Field(default=200, ge=1, le=100_000)
    """Those that they may make at once."""

    database_named_statements: bool = True
    """Have PostgreSQL keep statements by name, which is quicker; ``false`` behind a pooler by transactions that loses
    them, such as PgBouncer before 1.21."""

    announce_cursors: bool = True
    """Announce pages by cursor (RFC 9865) in the ServiceProviderConfig; ``false`` for clients that refuse what their
    library does not know, such as scim2-models before 0.10. They work all the same."""

    outbox_poll_seconds: float = Field(default=0.5, gt=0, le=60)
    """How long the relay sleeps when the outbox is empty."""

    outbox_lease_seconds: float = Field(default=60, gt=0, le=3600)
    """How long a worker may take for one message before the relay hands it out again."""

    delivery_timeout_seconds: float = Field(default=10, gt=0, le=60)
    """How long a destination may take for one call, from its beginning to the end of the answer."""

    allow_private_destinations: bool = False
    """For development: destinations may be plain ``http://``, at any port, and inside one's own network."""

    destination_ports: Annotated[tuple[int, ...], BeforeValidator(ports)] = DESTINATION_PORTS
    """Ports, comma separated, at which destinations may be; those at another one are not called."""

    body_seconds: float = Field(default=10, ge=1, le=600)
    """How long the body of a request may take, beside what `body_bytes_per_second` gives it; then it is 408."""

    body_bytes_per_second: int = Field(default=8192, ge=64, le=1_048_576)
    """The slowest that a body may come: each so many bytes give it a second more."""

    head_seconds: int = Field(default=10, ge=1, le=600)
    """How long a connection may stay open without the whole head of a request, also between two requests."""

    connections: int = Field(default=1000, ge=10, le=100_000)
    """Connections of a web process that are served at the same time; further ones wait to be taken."""

    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(networks), BeforeValidator(listed)] = ()
    """Addresses and networks of reverse proxies, comma separated, whose ``X-Forwarded-For`` is believed."""

    audit_archive: Path | None = None
    """A folder into which a worker writes each month of the audit before it is dropped, past every plan's retention; if
    it is not set, none is written."""

    smtp_url: SecretStr | None = Field(
        default=None, title="the address of a mail server, such as smtp://user:password@host:587 or smtps://host:465"
    )
    """The mail server by which a worker writes to tenants' admins; no mail is sent if it is not set. A password is sent
    only over TLS."""

    mail_from: str | None = Field(default=None, pattern=r"^[^\r\n]*@[^\r\n@]+$", title="an address, or Name <address>")
    """Who mail is from, such as ``Acme People <people@acme.example>``; rollcall@ the host of the public address if not
    set."""

    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], BeforeValidator(listed)] = ()
    """Signing secrets of Stripe's webhook, comma separated, two while one is rolled; ``POST /billing/stripe`` is closed
    if none is set. Needs the extra ``rollcall[stripe]``."""

    stripe_api_key: SecretStr | None = None
    """The key, a restricted one that reads, with which a worker asks Stripe what a customer pays for."""

    stripe_api_url: str = "https://api.stripe.com"
    """Where Stripe's API is."""

    billing_webhook_secrets: Annotated[tuple[SecretStr, ...], BeforeValidator(listed)] = Field(
        default=(), title="a secret such as whsec_ with 32 random bytes in base 64"
    )
    """Secrets, comma separated, with which a billing system of your own signs (Standard Webhooks); ``POST
    /billing/entitlements`` is closed if none is set."""

    passkey_rp_id: str | None = None
    """The domain that passkeys are bound to, and can't be moved from; the host of the public address if not set."""

    passkey_rp_name: str = Field(default="Rollcall", min_length=1)
    """What a person reads when their device asks whether to make a passkey: the product's name."""

    passkey_origins: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Addresses, comma separated, of the pages that may use passkeys; the public address if not set."""

    product_name: str | None = None
    """What your customers' admins read on every page of the console; ``ROLLCALL_PASSKEY_RP_NAME`` if not set."""

    product_logo: Path | None = None
    """Your logo, a file that ends in ``.svg``, ``.png`` or ``.webp``, shown beside the name; read at the start."""

    portal_return_origins: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Addresses, comma separated, of your product to which a portal link may lead back, such as
    ``https://app.example.com``; a ``return_url`` anywhere else is refused."""

    console_idle_minutes: int = Field(default=30, ge=5, le=720)
    """How long a session of the console or of a portal link stays open while nobody uses it; its own end stays."""

    console_fresh_minutes: int = Field(default=15, ge=1, le=720)
    """How long after a sign-in tokens are issued, admins appointed and ways in changed without being asked again."""

    console_language: str = Field(default="en", pattern="^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")
    """The console's language for visitors whose browser asks for none that there is, such as ``de`` or ``pt-BR``."""

    console_locales: Path | None = None
    """A folder with the console in further languages, ``<tag>/LC_MESSAGES/console.po`` each; read at the start."""

    frame_ancestors: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    """Addresses, comma separated, of your product's pages that may show what a portal link opens in a frame, such as
    ``https://app.example.com``; nobody's may if not set. They have to be of the same site as the public address."""

    upgrade_url: str | None = None
    """Where your customers' admins ask for another plan, such as ``https://acme.example/plans`` or
    ``mailto:sales@acme.example``: the console links to it where a plan lacks something."""

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (
            urlsplit(value.get_secret_value()).scheme not in ("smtp", "smtps")
            or not urlsplit(value.get_secret_value()).hostname
        ):
            msg = "is no address of a mail server: write smtp://user:password@host:587 or smtps://host:465"
            raise ValueError(msg)
        return value

    @field_validator("billing_webhook_secrets")
    @classmethod
    def _standard_secrets(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for position, secret in enumerate(secrets, 1):
            text = secret.get_secret_value()
            if not text.startswith("whsec_") or not is_key(text.removeprefix("whsec_")):
                msg = (
                    f"holds no secret at number {position}: write whsec_ and at least 24 random bytes in base 64; "
                    "'rollcall billing secret' prints one"
                )
                raise ValueError(msg)
        return secrets

    @field_validator("stripe_api_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")) or not address(value).hostname:
            msg = "must start with https:// and a host; leave it out to ask Stripe itself"
            raise ValueError(msg)
        return value.rstrip("/")

    @field_validator("database_url", "migration_database_url", mode="before")
    @classmethod
    def _plain_postgresql(cls, value: object) -> object:
        """Accept what people paste: driver suffixes and the ``postgres`` scheme are Rollcall's business."""
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(text, str):
            return value
        scheme, separator, rest = text.partition("://")
        if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
            msg = "is no PostgreSQL address: write postgresql://user:password@host:port/database"
            raise ValueError(msg)
        address(f"postgresql://{rest}")
        return f"postgresql://{rest}"

    @field_validator("redis_url", mode="before")
    @classmethod
    def _redis(cls, value: object) -> object:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if not isinstance(text, str):
            return value
        if not text.startswith(("redis://", "rediss://", "unix://")):
            msg = "is no Redis address: write redis://user:password@host:port/0 (rediss:// for TLS)"
            raise ValueError(msg)
        number = address(text).path.strip("/")
        if not text.startswith("unix:") and number and not number.isdecimal():
            msg = "must end in the number of a database, as in redis://host:6379/0"
            raise ValueError(msg)
        return text

    @field_validator("secret_keys")
    @classmethod
    def _keys_of_the_right_shape(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for position, key in enumerate(keys, 1):
            try:
                Fernet(key.get_secret_value())
            except ValueError:
                msg = (
                    f"holds no key at number {position} (a Fernet key is 32 bytes in URL-safe base 64): "
                    "'rollcall secret' prints a fresh one, keep it as you keep a password"
                )
                raise ValueError(msg) from None
        return keys

    @field_validator("public_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")) or not address(value).hostname:
            msg = "must start with https:// (or http:// while developing) and a host"
            raise ValueError(msg)
        return value.rstrip("/")

    @field_validator("passkey_rp_id")
    @classmethod
    def _domain(cls, value: str | None) -> str | None:
        if value is not None and (":" in value or "/" in value):
            msg = "must be a domain alone, such as example.com, without https:// and port"
            raise ValueError(msg)
        return value

    @field_validator("passkey_origins")
    @classmethod
    def _origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(origin, values))

    @field_validator("portal_return_origins", "frame_ancestors")
    @classmethod
    def _web_origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not value.lower().startswith(("http://", "https://")):
                msg = f"holds “{value}”, which is no web address: write https://app.example.com, without a path"
                raise ValueError(msg)
        return tuple(origin(value).lower() for value in values)

    @field_validator("upgrade_url")
    @classmethod
    def _followed(cls, value: str | None) -> str | None:
        if value is not None and not value.lower().startswith(("https://", "http://", "mailto:")):
            msg = "is nothing a browser follows: write https://acme.example/plans or mailto:sales@acme.example"
            raise ValueError(msg)
        return value

    @field_validator("console_locales")
    @classmethod
    def _folder(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            msg = "must be a folder that this process can read"
            raise ValueError(msg)
        return folder

    @field_validator("product_logo")
    @classmethod
    def _picture(cls, file: Path | None) -> Path | None:
        if file is None:
            return None
        if file.suffix.lower() not in LOGO_TYPES:
            msg = f"must end in {', '.join(LOGO_TYPES)}"
            raise ValueError(msg)
        if not file.is_file() or file.stat().st_size > LARGEST_LOGO:
            msg = f"must be a file of {LARGEST_LOGO // 1024} KB at most that this process can read"
            raise ValueError(msg)
        return file


def migrations_folder() -> Path:
    """Where the migrations are: inside an installed wheel, or beside ``src`` in a checkout."""
    packaged = Path(__file__).parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


@dataclass(frozen=True, slots=True)
class SettingsRead:
    """What the environment says: the settings, unless something is wrong, and whence each of them comes."""

    settings: Settings | None
    found: Mapping[str, Found]
    """The text and the source of each setting that has no default here, by the name of its field."""
    problems: Sequence[Problem]
    unknown: Sequence[Unknown]


def examine_environment(environ: Mapping[str, str] | None = None) -> SettingsRead:
    """Read the settings, and all that is wrong with them."""
    given = os.environ if environ is None else environ
    found, unread = environment.collect(Settings, PREFIX, given)
    unknown = environment.unknown(Settings, PREFIX, given, NOT_SETTINGS)
    said = {each.variable.removesuffix("_FILE") for each in unread}
    settings: Settings | None = None
    problems = list(unread)
    try:
        settings = Settings(**cast("dict[str, Any]", {name: each.text for name, each in found.items()}))
    except ValidationError as error:
        explained = environment.explain(error, Settings, PREFIX, found)
        problems += [each for each in explained if each.variable.removesuffix("_FILE") not in said]
    return SettingsRead(None if problems else settings, found, problems, unknown)


def read_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsInvalid: some are missing or malformed; the message names each of them, and what to do.
    """
    reading = examine_environment()
    if reading.settings is None:
        raise SettingsInvalid(reading.problems, reading.unknown)
    return reading.settings
