"""Seats: how many people are active is kept, plans say what happens beyond their seats, and tenants have overrides.

Revision: 2026_11_30_seats
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_seats"
down_revision = "2026_11_30_last_blocks"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Count who is active; a tenant with more people than seats keeps letting people in, by an override that says so.

    While the active people are counted nobody changes people: the table is read once.
    """
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Count rows alone again; seats are a number that nothing asks."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
