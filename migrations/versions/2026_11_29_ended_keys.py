"""An ended key never acts: it is judged again after the last wait of what it asked for.

Revision: 2026_11_29_ended_keys
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_29_ended_keys"
down_revision = "2026_11_29_tenant_fields"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Add the second judgement; processes of before go on without it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "ended_keys.sql")


def downgrade() -> None:
    """Judge once, as before."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
