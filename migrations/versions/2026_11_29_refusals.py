"""Refused calls in the audit: many as one, and of a long payload its beginning.

Revision: 2026_11_29_refusals
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_29_refusals"
down_revision = "2026_11_29_ended_keys"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Have the audit leave out what is counted, and cut what is long."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "change.sql")


def downgrade() -> None:
    """Enter every refusal whole again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
