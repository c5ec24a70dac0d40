"""Filters of the audit: indexes within bounds.

Revision: 2026_11_30_audit_filters
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_audit_filters"
down_revision = "2026_11_30_retention"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Make them; who writes waits while the present month is read."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Take them away."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
