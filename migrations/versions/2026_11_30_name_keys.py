"""Names by their second key: people and groups whose stored key is of the first version, and how roles' names are read.

Revision: 2026_11_30_name_keys
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_name_keys"
down_revision = "2026_11_29_function_schemas"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Add both tables, empty, and the column; nothing that is stored changes."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Give what was stored since a key of the first version again, and take all of it away."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
