"""The last admin: what a tenant has chosen for when they leave, and the deputy who becomes one then.

Revision: 2026_11_30_last_admin
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_last_admin"
down_revision = "2026_11_30_portal"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Add the choice, which is what was so far, and have the trigger that tells of it appoint a deputy first."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Take it away: a tenant whose last admin leaves has none."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
