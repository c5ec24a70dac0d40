"""Idempotency keys: the sealed answers that a repeated creation is given, for a day.

Revision: 2026_11_29_idempotency
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_29_idempotency"
down_revision = "2026_11_29_token_state"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Make the table and the function that holds a key."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Forget all keys: a creation that is repeated after this is done twice."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
