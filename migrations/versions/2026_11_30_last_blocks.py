"""The last blocks of the audit's months: no summaries before they are full.

Who writes into blocks that have a summary pays for it with each entry. Of an empty month the last blocks are the first.

Revision: 2026_11_30_last_blocks
"""

from alembic import op

revision = "2026_11_30_last_blocks"
down_revision = "2026_11_30_pauses"
branch_labels = None
depends_on = None

_EACH = """
SELECT {call} FROM pg_inherits p
  JOIN pg_index i ON i.indrelid = p.inhrelid
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'
 WHERE p.inhparent = 'audit_entries'::regclass
"""
_LAST = "pg_relation_size(i.indrelid) / current_setting('block_size')::integer"


def upgrade() -> None:
    """Take those summaries away; nobody who reads or writes waits."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_EACH.format(call=f"brin_desummarize_range(i.indexrelid, {_LAST})"))


def downgrade() -> None:
    """Have all blocks summarised."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(_EACH.format(call="brin_summarize_new_values(i.indexrelid)"))
