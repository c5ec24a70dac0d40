"""The foundation: tables, isolation, audit, gate, leaving, users.

Revision: 2026_11_22_foundation
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_22_foundation"
down_revision = None
branch_labels = None
depends_on = None

_PARTS = ("tables", "isolation", "audit", "gate", "leaving", "users", "groups", "search", "events")
_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Build everything."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for part in _PARTS:
        run_script(op.get_bind(), _FOLDER / f"{part}.sql")


def downgrade() -> None:
    """Take everything away; the data goes with it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
