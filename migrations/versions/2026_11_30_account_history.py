"""Who was active, in which role, until when: what an account was before each change.

Revision: 2026_11_30_account_history
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_account_history"
down_revision = "2026_11_30_last_admin"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Make the tables, and have changes kept from now on; what was before is not known."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Take them away; who had which role on a day is not known any more."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
