"""The questions about an installation: each sees its fault, says what to do, and keeps no other from being asked."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from architecture.databases import scratch
from installations import EVERYBODY, Installation
from rollcall import catalogue, functions, revisions
from rollcall.broker import BEAT, DELIVERY, DELIVERY_SLOW, QUEUES, RELAY, UNBELIEVED
from rollcall.checks import configuration, database, everything
from rollcall.checks.asking import Grounds
from rollcall.checks.model import Check, State, exit_code
from rollcall.cli.embedded import Engines
from rollcall.crypto import new_secret_key
from rollcall.environment import Unknown
from rollcall.settings import SettingsRead, examine_environment
from rows import connected

NOWHERE = SecretStr("redis://:s3cret@127.0.0.1:1/0")
TENANT = UUID("01a00000-0000-7000-8000-000000000001")


def states(found: dict[str, Check]) -> dict[str, State]:
    """What is not well."""
    return {name: each.state for name, each in found.items() if each.state is not State.OK}


async def test_all_well(installation: Installation) -> None:
    """With everything as it has to be every question is answered, and nothing is advised."""
    found = await installation.ask()
    assert states(found) == {}
    assert all(each.remedy is None and each.said for each in found.values())
    assert exit_code(found.values()) == 0


async def test_stripe_by_half(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what Stripe takes - package, secret and key - each that is missing while others are there is named."""
    secrets, key = (SecretStr("whsec_1"),), SecretStr("rk_1")
    for given, state, remedy in (
        ({}, State.OK, None),
        ({"stripe_webhook_secrets": secrets, "stripe_api_key": key}, State.OK, None),
        ({"stripe_webhook_secrets": secrets}, State.FAILED, "ROLLCALL_STRIPE_API_KEY"),
        ({"stripe_api_key": key}, State.WARNING, "ROLLCALL_STRIPE_WEBHOOK_SECRETS"),
    ):
        found = (await installation.ask(**given))["stripe"]
        assert (found.state, remedy is None or remedy in (found.remedy or "")) == (state, True), found
    nothing: dict[str, object] = {}
    monkeypatch.setattr(configuration, "find_spec", nothing.get)
    assert (await installation.ask())["stripe"].state is State.OK
    found = (await installation.ask(stripe_webhook_secrets=secrets))["stripe"]
    assert found.state is State.FAILED
    assert "pip install 'rollcall[stripe]'" in (found.remedy or "")


async def test_payment_stands_still(installation: Installation) -> None:
    """A customer that nobody asks about, or that can't be asked about, is seen; one that is nobody's is no matter."""
    made = "INSERT INTO billing_customers (customer, provider, due_at, error) VALUES ($1, 'stripe', now() + $2, $3)"
    day = timedelta(days=1)
    await installation.owner.execute(made, "cus_parked", -day, "whatever")
    found = (await installation.ask())["payment"]
    assert (found.state, "1 are no tenant's" in found.said) == (State.OK, True), found
    await installation.owner.execute("INSERT INTO plans (key, name, features) VALUES ('p', 'P', '{}')")
    await installation.owner.execute(
        "INSERT INTO tenants (slug, name, plan, role_rule, customer) VALUES ('a', 'A', 'p', '{}', 'cus_1')"
    )
    await installation.owner.execute(made, "cus_1", day, "the moon is away")
    found = (await installation.ask())["payment"]
    assert (found.state, "the moon is away" in found.said) == (State.WARNING, True), found
    await installation.owner.execute("UPDATE billing_customers SET due_at = now() - interval '2 hours'")
    assert (await installation.ask())["payment"].state is State.FAILED


async def test_advice_is_for_what_is_wrong(installation: Installation) -> None:
    """Whatever is not well says what to do, or hangs on something that does."""
    installation.alive()
    found = await installation.ask(environment="production", allow_private_destinations=True)
    for each in found.values():
        assert (each.remedy is not None) == (each.state in {State.WARNING, State.FAILED}), each


async def test_nobody_runs(installation: Installation) -> None:
    """Without relay, workers and beat each is missed, by the queues that nobody takes from, with its command."""
    installation.alive()
    found = await installation.ask()
    assert states(found) == {"relay": State.FAILED, "workers": State.FAILED, "beat": State.WARNING}
    assert exit_code(found.values()) == 1
    assert found["relay"].remedy == "start 'rollcall relay'"
    assert found["workers"].said == "no worker takes from revocation, housekeeping, delivery, delivery-slow"
    assert found["workers"].remedy == ("start 'rollcall worker' and 'rollcall worker --queues delivery,delivery-slow'")

    installation.alive(*(set(EVERYBODY) - {DELIVERY, DELIVERY_SLOW}))
    found = await installation.ask()
    assert states(found) == {"workers": State.FAILED}
    assert found["workers"].remedy == "start 'rollcall worker --queues delivery,delivery-slow'"

    installation.alive(RELAY, *QUEUES)
    found = await installation.ask()
    assert states(found) == {"beat": State.WARNING}
    assert exit_code(found.values()) == 3


async def test_broker_away(installation: Installation) -> None:
    """Without a broker everything about the database is told all the same, and no password."""
    found = await installation.ask(redis_url=NOWHERE)
    assert states(found) == {
        "broker": State.FAILED,
        **dict.fromkeys(("relay", "workers", "beat", "proxies"), State.UNKNOWN),
    }
    assert "ROLLCALL_REDIS_URL" in (found["broker"].remedy or "")
    assert "s3cret" not in str(found)


async def test_database_away(installation: Installation) -> None:
    """Without a database everything about the broker is told all the same, and no password."""
    found = await installation.ask(database_url=SecretStr("postgresql://web:s3cret@127.0.0.1:1/rollcall"))
    wanted = dict.fromkeys((*everything.OF_THE_DATABASE, *everything.OF_THE_TABLES), State.UNKNOWN)
    assert states(found) == {"database": State.FAILED, **wanted}
    assert "ROLLCALL_DATABASE_URL" in (found["database"].remedy or "")
    assert "s3cret" not in str(found)


async def test_both_away(installation: Installation) -> None:
    """Without either, both are told."""
    found = await installation.ask(
        database_url=SecretStr("postgresql://web:s3cret@127.0.0.1:1/rollcall"), redis_url=NOWHERE
    )
    assert {name for name, state in states(found).items() if state is State.FAILED} == {"database", "broker"}


async def test_not_migrated(engines: Engines, installation: Installation) -> None:
    """In an empty database the tables are missed, and what they hold can't be told."""
    async with scratch(engines, installation.settings) as empty:
        found = await installation.ask(database_url=empty.database_url)
    assert states(found) == {
        "tables": State.FAILED,
        **dict.fromkeys(everything.OF_THE_TABLES, State.UNKNOWN),
    }
    assert found["tables"].remedy == "run 'rollcall migrate'"


async def test_a_change_of_roles_stands_still(installation: Installation) -> None:
    """One that nobody brings on is told by its tenant after ten minutes, and no longer when it has ended."""
    owner = installation.owner
    await owner.execute("INSERT INTO plans (key, name, features) VALUES ('any', 'Any', '{}')")
    await owner.execute(
        "INSERT INTO tenants (id, slug, name, plan, role_rule) VALUES ($1, 'acme', 'Acme', 'any', '{}')", TENANT
    )
    await owner.execute(
        "INSERT INTO role_changes (tenant_id, request_id, people, began_at) VALUES ($1, 'r', 9000, $2)",
        TENANT,
        datetime.now(UTC) - timedelta(minutes=9),
    )
    assert (await installation.ask())["role-changes"].state is State.OK
    await owner.execute("UPDATE role_changes SET began_at = began_at - interval '2 minutes'")
    found = (await installation.ask())["role-changes"]
    assert found.state is State.WARNING
    assert "acme since" in found.said
    await owner.execute("UPDATE role_changes SET ended_at = now()")
    assert (await installation.ask())["role-changes"].state is State.OK


async def test_behind_and_edited(installation: Installation) -> None:
    """Tables of an older revision, and those of an unreleased version, are told apart."""
    newest, older = revisions.newest(), revisions.after(catalogue.FOUNDATION)[0].id
    await installation.owner.execute("UPDATE alembic_version SET version_num = $1", older)
    found = await installation.ask()
    assert (found["tables"].state, found["tables"].said) == (
        State.FAILED,
        f"the tables stand at {older}, and this version needs {newest}",
    )
    await installation.owner.execute("UPDATE alembic_version SET version_num = $1", catalogue.FOUNDATION)
    await installation.owner.execute("DROP INDEX ix_outbox_due")
    found = await installation.ask()
    assert "made by an unreleased version" in found["tables"].said


async def test_a_newer_version_has_migrated(installation: Installation) -> None:
    """Tables of a revision that nobody here knows are a newer version's; they serve while our functions are there."""
    await installation.owner.execute("UPDATE alembic_version SET version_num = 'newer'")
    assert (await installation.ask())["tables"].state is State.OK
    await installation.owner.execute(f"ALTER SCHEMA {functions.schema()} RENAME TO gone")
    found = (await installation.ask())["tables"]
    assert (found.state, found.said) == (
        State.FAILED,
        f"the tables stand at newer, and this version needs {revisions.newest()}",
    )


async def test_functions_are_missing(installation: Installation) -> None:
    """So is a schema of functions that was removed, as the tables are current."""
    await installation.owner.execute(f"DROP SCHEMA {functions.schema()} CASCADE")
    found = (await installation.ask())["tables"]
    assert (found.state, found.said) == (State.FAILED, "this version's functions are missing")


@pytest.mark.parametrize("rights", ["SUPERUSER", "BYPASSRLS"])
async def test_roles_that_see_everything(engines: Engines, installation: Installation, rights: str) -> None:
    """A running role that row-level security does not bind is told of, and the rest is asked on."""
    name = installation.settings.database_url.get_secret_value().rpartition("/")[2]
    async with connected(engines.postgres.superuser_url) as superuser:
        await superuser.execute(f"CREATE ROLE seer LOGIN PASSWORD 'x' {rights}")
        await superuser.execute("GRANT rollcall_runtime TO seer; GRANT rollcall_fleet TO seer WITH INHERIT FALSE")
        try:
            found = await installation.ask(database_url=SecretStr(engines.postgres.url("seer", "x", name)))
        finally:
            await superuser.execute("DROP ROLE seer")
    assert states(found) == {"role": State.FAILED}
    assert "CREATE ROLE … LOGIN and nothing more" in (found["role"].remedy or "")


async def deliveries_due(installation: Installation, number: int, *, seconds: float, failures: int = 0) -> None:
    """Deliveries that have been due for so long."""
    owner, destination = installation.owner, uuid4()
    await owner.execute(
        "INSERT INTO destinations (tenant_id, id, kind, url, label, failures) VALUES ($1, $2, 'webhook', 'x', 'x', $3)",
        TENANT,
        destination,
        failures,
    )
    await owner.execute(
        "WITH messages AS ("
        "  INSERT INTO outbox (tenant_id, topic, payload, request_id, fanned_out_at, done_at)"
        "  SELECT $1, 'user.created', '{}', 'test', now(), now() FROM generate_series(1, $4::int) RETURNING id) "
        "INSERT INTO deliveries (tenant_id, destination_tenant_id, destination_id, kind, label, message_id, topic, "
        "                        line_id, created_at, next_try_at, give_up_at) "
        "SELECT $1, $1, $2, 'webhook', 'x', id, 'user.created', uuidv7(), $3, $3, now() + interval '3 days' "
        "  FROM messages",
        TENANT,
        destination,
        datetime.now(UTC) - timedelta(seconds=seconds),
        number,
    )


@pytest.mark.parametrize(
    ("seconds", "state"), [(5, State.OK), (65, State.WARNING), (281, State.WARNING), (310, State.FAILED)]
)
async def test_deliveries_wait(installation: Installation, seconds: float, state: State) -> None:
    """Deliveries that have waited for minutes are told, with how many and for how long."""
    await deliveries_due(installation, 15, seconds=seconds)
    found = (await installation.ask())["backlog"]
    assert found.state is state
    told = re.search(r"15 deliveries are due, the oldest for (\d+) s", found.said)
    assert told is not None
    assert seconds <= int(told[1]) + 1 < seconds + 20


async def test_deliveries_that_nobody_takes(installation: Installation) -> None:
    """What a destination refuses waits for its receiver; that is said, and is no fault of ours."""
    await deliveries_due(installation, 2, seconds=5000, failures=4)
    found = (await installation.ask())["backlog"]
    assert found.state is State.OK
    assert "1 destinations do not take what they are sent" in found.said


@pytest.mark.parametrize(
    ("column", "seconds", "state"),
    [("dead_at", 1, State.FAILED), (None, 30, State.OK), (None, 100, State.WARNING), (None, 400, State.FAILED)],
)
async def test_departures_wait(installation: Installation, column: str | None, seconds: float, state: State) -> None:
    """Messages that nobody settles are told, and those that were given up."""
    await installation.owner.execute(
        "INSERT INTO outbox (tenant_id, id, topic, payload, request_id, created_at, dead_at) "
        "VALUES ($1, uuidv7(), 'user.deactivated', '{}', 'test', $2, $3)",
        TENANT,
        datetime.now(UTC) - timedelta(seconds=seconds),
        datetime.now(UTC) if column else None,
    )
    found = (await installation.ask())["backlog"]
    assert found.state is state
    assert ("--replay" in (found.remedy or "")) == (column is not None)


@pytest.mark.parametrize(("months", "state"), [(0, State.FAILED), (1, State.WARNING)])
async def test_partitions(installation: Installation, months: int, state: State) -> None:
    """A missing partition of the audit is told: for this month at once, for the next one in time."""
    name = await installation.owner.fetchval(
        "SELECT to_char(now() AT TIME ZONE 'UTC' + make_interval(months => $1), 'YYYY_MM')", months
    )
    await installation.owner.execute(f"ALTER TABLE audit_payloads DETACH PARTITION audit_payloads_{name}")
    await installation.owner.execute(f"DROP TABLE audit_payloads_{name}")
    found = await installation.ask()
    assert states(found) == {"partitions": state}
    assert name.replace("_", "-") in found["partitions"].said


async def test_housekeeping(installation: Installation) -> None:
    """Housekeeping that was not done for hours is told by its parts, with what the last try ended with."""
    await installation.owner.execute(
        "INSERT INTO housekeeping (part, done_at, error) VALUES ('messages', now() - interval '5 hours', 'no room')"
    )
    found = await installation.ask()
    assert states(found) == {"housekeeping": State.WARNING}
    assert "messages since" in found["housekeeping"].said
    assert "(no room)" in found["housekeeping"].said


@pytest.mark.parametrize(
    ("ahead", "state", "said"),
    [
        (0.5, State.OK, "agree"),
        (-1.5, State.OK, "agree"),
        (10, State.WARNING, "10 s ahead of"),
        (-90, State.FAILED, "90 s behind"),
    ],
)
@pytest.mark.parametrize("server", ["PostgreSQL", "Redis"])
async def test_clocks(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, server: str, ahead: float, state: State, said: str
) -> None:
    """A clock that differs is told, with whose it is and by how much."""

    async def another_time(_grounds: Grounds) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead)

    monkeypatch.setattr(database, "_database_time" if server == "PostgreSQL" else "_broker_time", another_time)
    found = (await installation.ask())["clock"]
    assert found.state is state
    assert said in found.said
    assert state is State.OK or f"the clock of {server}" in found.said


async def test_keys(installation: Installation) -> None:
    """Keys that open nothing, and keys of which an older one is still needed, are told."""
    new = SecretStr(new_secret_key())
    lost = await installation.ask(secret_keys=(new,))
    assert states(lost) == {"keys": State.FAILED}
    older = await installation.ask(secret_keys=(new, *installation.settings.secret_keys))
    assert states(older) == {"keys": State.WARNING}
    assert "rollcall secret reseal" in (older["keys"].remedy or "")
    await installation.owner.execute("DELETE FROM signing_keys")
    assert (await installation.ask())["keys"].said == "there is no signing key"


@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        ({"public_url": "https://people.example.com"}, {}),
        ({"public_url": "http://people.example.com"}, {"public-url": State.WARNING}),
        (
            {"public_url": "https://people.example.com", "allow_private_destinations": True},
            {"private-destinations": State.FAILED},
        ),
    ],
)
async def test_in_production(installation: Installation, other: dict[str, object], wanted: dict[str, State]) -> None:
    """Plain http, and destinations inside the own network, are for development."""
    assert states(await installation.ask(environment="production", **other)) == wanted
    assert states(await installation.ask(environment="development", **other)) == {}


async def test_a_proxy_that_nobody_listed(installation: Installation) -> None:
    """A neighbour that speaks for others is told, with the setting that makes it believed."""
    installation.redis.set(UNBELIEVED, "10.0.0.7")
    found = await installation.ask()
    assert states(found) == {"proxies": State.WARNING}
    assert found["proxies"].said.startswith("10.0.0.7 sent X-Forwarded-For")
    assert "ROLLCALL_TRUSTED_PROXIES" in (found["proxies"].remedy or "")


async def test_settings_that_can_not_be_read() -> None:
    """Without settings every mistake in them is told, and what hangs on them can't be."""
    reading = examine_environment({"ROLLCALL_DATABASE_URL": "s3cret", "ROLLCALL_LOG_LEVLE": "INFO"})
    found = await everything.examine(reading, revisions.known())
    assert [each.said for each in found if each.state is State.FAILED] == [
        "ROLLCALL_DATABASE_URL can't be used",
        "ROLLCALL_REDIS_URL can't be used",
        "ROLLCALL_SECRET_KEYS can't be used",
    ]
    assert {each.state for each in found} == {State.FAILED, State.WARNING, State.UNKNOWN}
    assert "s3cret" not in str(found)


async def test_a_misspelt_setting(installation: Installation) -> None:
    """A variable that is none of ours is a warning, with the name that was meant."""
    reading = SettingsRead(installation.settings, {}, (), (Unknown("ROLLCALL_LOG_LEVLE", "ROLLCALL_LOG_LEVEL"),))
    found = await everything.examine(reading, revisions.known())
    (warned,) = [each for each in found if each.state is not State.OK]
    assert (warned.name, warned.state) == ("settings", State.WARNING)
    assert "did you mean ROLLCALL_LOG_LEVEL?" in warned.said


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([State.OK], 0),
        ([State.OK, State.WARNING], 3),
        ([State.OK, State.UNKNOWN], 3),
        ([State.WARNING, State.FAILED, State.UNKNOWN], 1),
    ],
)
def test_exit_codes(found: list[State], code: int) -> None:
    """The worst answer decides."""
    assert exit_code(Check("x", state, "so") for state in found) == code


def test_beat_is_no_queue() -> None:
    """Nobody's heartbeat is taken for another's."""
    assert len(set(EVERYBODY)) == len(QUEUES) + len({RELAY, BEAT})
