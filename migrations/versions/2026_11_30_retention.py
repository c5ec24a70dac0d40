"""Retention: how long each audit is kept, and entries older than that may be deleted.

Revision: 2026_11_30_retention
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_retention"
down_revision = "2026_11_30_housekeeping"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Let the audit forget what is older than it is kept; nothing is deleted before housekeeping has announced it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Keep everything again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
