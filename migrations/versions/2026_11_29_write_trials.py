"""Trials of writing: whether PostgreSQL takes anything, which a full disk shows by nothing else.

Revision: 2026_11_29_write_trials
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_29_write_trials"
down_revision = "2026_11_29_answered_challenges"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Make the table, and the function that tries."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Take both away; nothing is in the table."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
