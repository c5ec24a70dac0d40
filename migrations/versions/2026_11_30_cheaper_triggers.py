"""Cheaper triggers: what every change of an account or of who is active pays for, whether it concerns it or not.

Revision: 2026_11_30_cheaper_triggers
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_cheaper_triggers"
down_revision = "2026_11_30_auditors"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """One trigger notes what accounts were, where there were two; who is active is counted by an update."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Two triggers again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
