"""What a database is made of, and whether its first revision is the one that is frozen now.

Until the first revision was frozen it was edited in place, so two databases that both stand at it need not be alike.
Each object that it makes is known here by a digest of its definition; objects of others are none of our business.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

from rollcall.settings import migrations_folder

FOUNDATION = "2026_11_22_foundation"
"""The revision that everything begins with."""

NAMED = 3
"""Objects that a sentence names before it counts the rest."""


class Asks(Protocol):
    """A connection, or a pool of them."""

    async def fetch(self, query: str, *args: object) -> Sequence[Any]: ...


_DEFINITIONS = """
WITH ours AS (
    SELECT relnamespace AS id FROM pg_class WHERE oid = to_regclass('alembic_version')),
relations AS (
    SELECT c.oid, c.relname FROM pg_class c JOIN ours ON ours.id = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'c') AND NOT c.relispartition)
SELECT 'function ' || p.proname AS name,
       pg_get_function_identity_arguments(p.oid) || ' ' || pg_get_function_result(p.oid) || ' ' || p.prosrc
           AS definition
  FROM pg_proc p JOIN ours ON ours.id = p.pronamespace
UNION ALL
SELECT 'column ' || r.relname || '.' || a.attname,
       format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' '
           || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
  FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint ' || c.conname || ' of ' || r.relname, pg_get_constraintdef(c.oid)
  FROM relations r JOIN pg_constraint c ON c.conrelid = r.oid WHERE c.contype <> 'n'
UNION ALL
SELECT 'index ' || x.relname, pg_get_indexdef(x.oid)
  FROM relations r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class x ON x.oid = i.indexrelid
UNION ALL
SELECT 'policy ' || p.polname || ' of ' || r.relname,
       p.polcmd::text || ' ' || coalesce(pg_get_expr(p.polqual, r.oid), '')
  FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
UNION ALL
SELECT 'trigger ' || t.tgname || ' of ' || r.relname, pg_get_triggerdef(t.oid)
  FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
"""


async def definitions(database: Asks) -> Mapping[str, str]:
    """A digest of each object in the schema of the tables, by its kind and name; empty where nothing was migrated."""
    gathered: dict[str, list[str]] = {}
    for row in await database.fetch(_DEFINITIONS):
        gathered.setdefault(row["name"], []).append(row["definition"])
    return {name: _digest("\n".join(sorted(texts))) for name, texts in gathered.items()}


def frozen() -> Mapping[str, str]:
    """The objects that the first revision makes, as it is frozen, and their digests."""
    lines = (migrations_folder() / f"{FOUNDATION}.catalogue").read_text().splitlines()
    return {name: digest for digest, _, name in (line.partition(" ") for line in lines) if not digest.startswith("#")}


async def edited(database: Asks) -> Sequence[str]:
    """What a database that stands at the first revision has otherwise than that makes it now; empty if nothing."""
    found = await definitions(database)
    return sorted(name for name, digest in frozen().items() if found.get(name) != digest)


def refusal(differing: Sequence[str]) -> str:
    """What to say of a database that was made by an older first revision, and what to do."""
    named = ", ".join(differing[:NAMED])
    more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
    return (
        f"the database was made by an unreleased version of Rollcall: it stands at {FOUNDATION}, and that revision "
        f"made other objects then ({named}{more}). It can't be brought to the present tables. Begin anew: with "
        "'rollcall up --fresh' or another --data-dir where the engines are Rollcall's, with an empty database where "
        "they are yours"
    )


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
