"""Housekeeping: who does a part of it now, and how it ended last.

Revision: 2026_11_30_housekeeping
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_housekeeping"
down_revision = "2026_11_30_external_ids"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Make the table."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Forget who did what."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
