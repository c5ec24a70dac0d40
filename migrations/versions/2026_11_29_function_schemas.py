"""Functions leave the revisions, for schemas that each version installs; columns with better names.

Revision: 2026_11_29_function_schemas
"""

import re
from pathlib import Path

from alembic import op

from rollcall import functions
from rollcall.tables import run_script, run_sql

revision = "2026_11_29_function_schemas"
down_revision = "2026_11_29_write_trials"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")
_BEFORE = {
    "2026_11_22_foundation": ("isolation", "audit", "gate", "leaving", "users", "groups", "search", "events"),
    "2026_11_29_unknown_roles": ("change",),
    "2026_11_29_token_state": ("state",),
    "2026_11_29_idempotency": ("do",),
    "2026_11_29_ended_keys": ("ended_keys",),
    "2026_11_29_refusals": ("change",),
    "2026_11_29_write_trials": ("do",),
}
"""The scripts with functions, as they came to a database."""

_MADE = re.compile(
    r"^(CREATE (?:OR REPLACE )?FUNCTION|CREATE TYPE|(?:REVOKE|GRANT) .* ON FUNCTION) (\w+)", re.MULTILINE
)


def upgrade() -> None:
    """Take the functions away; what is installed after the revisions takes their place."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Bring the functions back as the revisions before had made them; installed schemas go with the columns' names."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for (schema,) in op.get_bind().exec_driver_sql("SELECT name FROM function_schemas").fetchall():
        op.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
    run_script(op.get_bind(), _FOLDER / "undo.sql")
    op.execute("SET LOCAL check_function_bodies = off")
    for statement in _functions_before().values():
        run_sql(op.get_bind(), statement)


def _functions_before() -> dict[str, str]:
    """What made each function last, types first made first."""
    made: dict[str, str] = {}
    for name, scripts in _BEFORE.items():
        for script in scripts:
            for statement in functions.statements((_FOLDER.parent / name / f"{script}.sql").read_text()):
                if found := _MADE.search(statement):
                    kind = found[1].replace(" OR REPLACE", "")
                    text = re.sub(r"^CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", statement, flags=re.MULTILINE)
                    made[f"{kind} {found[2]}"] = text
    return made
