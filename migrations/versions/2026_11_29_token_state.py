"""How a token stands, said in one place: the gate, the management API's keys and every list ask the same expression.

Revision: 2026_11_29_token_state
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_29_token_state"
down_revision = "2026_11_29_unknown_roles"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Add the expression and let whoever judges a token ask it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "state.sql")


def downgrade() -> None:
    """Write the judgement out again where it stood before."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
