"""Cases of role names that no role has; a taken userName says whose it is.

Revision: 2026_11_29_unknown_roles
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_29_unknown_roles"
down_revision = "2026_11_22_foundation"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Add the kind of case, and the functions that open and close it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "change.sql")


def downgrade() -> None:
    """Put the functions back; the cases of unknown names go."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
