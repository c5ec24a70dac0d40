"""Large changes of roles: whom one has not come to yet, and how far it is.

Revision: 2026_11_30_role_changes
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_role_changes"
down_revision = "2026_11_30_forgetting"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Make both tables, empty."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Take them away; the script refuses while somebody still has to be given a role."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
