"""Erasing a person: whose names are being taken out of the audit, and the one way past its refusal to be changed.

Revision: 2026_11_30_erasure
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_erasure"
down_revision = "2026_11_30_console_pages"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Add the table, empty, and let what it names be blanked; nothing that is stored changes."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """Take both away; what was erased stays erased."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
