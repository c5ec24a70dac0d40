"""Large changes of roles: notes in 256 texts, the history of many at once, and an index of what is due alone.

What was so before a transaction changed it was noted in one text, in which each was looked for: very many admins in
one statement cost the square of their number. The functions of the version before read that text. For as long as its
processes are there the first hundred notes of a transaction stand in it as well, and a call of theirs hardly ever needs
more: its own key, that key's owner, and those who change with it. Where one of them changes the rights of more than a
hundred admins, whoever made the call among them and not of the first hundred, it is refused as one whose key has ended,
and changes nothing. Functions of this version read the 256 alone.

Whoever announces anything waits while the index is built: about a second for a million messages.

Revision: 2026_11_30_large_changes
"""

from pathlib import Path

from alembic import op

from rollcall.tables import run_script

revision = "2026_11_30_large_changes"
down_revision = "2026_11_30_console_pages"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).with_suffix("")


def upgrade() -> None:
    """Write the 256, leave the history of many to whoever changes them, and build the index."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "do.sql")


def downgrade() -> None:
    """One text again, history row by row, and everything that is not done in the index."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    run_script(op.get_bind(), _FOLDER / "undo.sql")
