"""Indexes of externalIds without the rows that have none, which look-ups by id took for their own.

Writing to both tables waits while they are built: about a second for a million people.

Revision: 2026_11_30_external_ids
"""

from alembic import op

revision = "2026_11_30_external_ids"
down_revision = "2026_11_30_provider_marks"
branch_labels = None
depends_on = None

_TABLES = ("users", "groups")


def upgrade() -> None:
    """Build each anew."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.execute(f"""
            CREATE INDEX ix_{table}_some_external_id ON {table} (tenant_id, external_id) WHERE external_id IS NOT NULL
        """)
        op.execute(f"DROP INDEX ix_{table}_external_id")
        op.execute(f"ALTER INDEX ix_{table}_some_external_id RENAME TO ix_{table}_external_id")


def downgrade() -> None:
    """Have every row in them again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in _TABLES:
        op.execute(f"DROP INDEX ix_{table}_external_id")
        op.execute(f"CREATE INDEX ix_{table}_external_id ON {table} (tenant_id, external_id)")
