"""What an operator can set: read once at the edge, from the environment."""

from pathlib import Path
from typing import Annotated

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DESTINATION_PORTS = (443, 8443)
"""Where destinations may be, unless an operator says otherwise."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """Rollcall's settings; each is an environment variable with the prefix ``ROLLCALL_``."""

    model_config = SettingsConfigDict(env_prefix="ROLLCALL_", frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr
    """PostgreSQL as the running role: it neither owns the tables nor bypasses row-level security."""

    migration_database_url: SecretStr | None = None
    """PostgreSQL as the role that owns the tables; only ``rollcall migrate`` and ``rollcall up`` use it."""

    redis_url: SecretStr
    """Redis or Valkey: Celery's broker and the shared part of rate limits."""

    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode, Field(min_length=1)]
    """Fernet keys, comma separated, that seal what has to be stored and read again; the first seals, all open."""

    public_url: str = "http://127.0.0.1:8000"
    """The address customers reach this installation at; it stands in every ``meta.location``."""

    environment: str = Field(default="production", pattern="^(production|development)$")
    """``development`` logs for people, ``production`` logs JSON."""

    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """The least severe level that is logged."""

    database_pool_size: int = Field(default=8, ge=1, le=100)
    """Connections a web process may have for its hot paths; half of them do, unless some are held up. Management work
    has half as many of its own."""

    outbox_poll_seconds: float = Field(default=0.5, gt=0, le=60)
    """How long the relay sleeps when the outbox is empty."""

    outbox_lease_seconds: float = Field(default=60, gt=0, le=3600)
    """How long a worker may take for one message before the relay hands it out again."""

    delivery_timeout_seconds: float = Field(default=10, gt=0, le=60)
    """How long a destination may take for one call, from its beginning to the end of the answer."""

    allow_private_destinations: bool = False
    """For development: destinations may be plain ``http://``, at any port, and inside one's own network."""

    destination_ports: Annotated[tuple[Port, ...], NoDecode, Field(min_length=1)] = DESTINATION_PORTS
    """Ports, comma separated, at which destinations may be; those at another one are not called."""

    body_seconds: float = Field(default=10, ge=1, le=600)
    """How long the body of a request may take, beside what `body_bytes_per_second` gives it; then it is 408."""

    body_bytes_per_second: int = Field(default=8192, ge=64, le=1_048_576)
    """The slowest that a body may come: each so many bytes give it a second more."""

    head_seconds: int = Field(default=10, ge=1, le=600)
    """How long a connection may stay open without the whole head of a request, also between two requests."""

    connections: int = Field(default=1000, ge=10, le=100_000)
    """Connections of a web process that are served at the same time; further ones wait to be taken."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies whose ``X-Forwarded-For`` is believed."""

    passkey_rp_id: str | None = None
    """The domain that passkeys are bound to, and can't be moved from; the host of the public address if not set."""

    passkey_rp_name: str = Field(default="Rollcall", min_length=1)
    """What a person reads when their device asks whether to make a passkey: the product's name."""

    passkey_origins: tuple[str, ...] = ()
    """A JSON list of the addresses whose pages may use passkeys; the public address if not set."""

    @field_validator("database_url", "migration_database_url", mode="before")
    @classmethod
    def _plain_postgresql(cls, value: object) -> object:
        """Accept what people paste: driver suffixes and the ``postgres`` scheme are Rollcall's business."""
        if not isinstance(value, str):
            return value
        scheme, separator, rest = value.partition("://")
        if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
            msg = "a PostgreSQL address is needed: postgresql://user:password@host:port/database"
            raise ValueError(msg)
        return f"postgresql://{rest}"

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _separated_by_commas(cls, value: object) -> object:
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if not isinstance(value, str):
            return value
        return tuple(key for part in value.split(",") if (key := part.strip()))

    @field_validator("secret_keys")
    @classmethod
    def _keys_of_the_right_shape(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for position, key in enumerate(keys, 1):
            try:
                Fernet(key.get_secret_value())
            except ValueError:
                msg = f"number {position} is no Fernet key (32 bytes in URL-safe base 64)"
                raise ValueError(msg) from None
        return keys

    @field_validator("destination_ports", mode="before")
    @classmethod
    def _ports_separated_by_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(port for part in value.strip("[] ").split(",") if (port := part.strip()))

    @field_validator("public_url")
    @classmethod
    def _no_trailing_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            msg = "the public address starts with https:// (or http:// while developing)"
            raise ValueError(msg)
        return value.rstrip("/")


def migrations_folder() -> Path:
    """Where the migrations are: inside an installed wheel, or beside ``src`` in a checkout."""
    packaged = Path(__file__).parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


def read_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        pydantic.ValidationError: one is missing or malformed; the message names it.
    """
    return Settings()  # pyright: ignore[reportCallIssue]  # the values come from the environment
