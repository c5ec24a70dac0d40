"""Forgetting: indexes for what is over, and a column for commitments to entries of the audit.

Revision: 2026_11_30_forgetting
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_forgetting"
down_revision = "2026_11_30_audit_filters"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Make them; who opens or closes a session waits while its index is made, about a second for a million."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Take them away."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
