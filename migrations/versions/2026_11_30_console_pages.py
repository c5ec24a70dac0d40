"""Indexes for pages of the console: of its own sessions, and of people who were removed, by userName.

No session of the product and nobody who is there stands in them, so everyday changes do not pay for them.
Opening sessions and changing people waits while they are built: about a second for a million rows.

Revision: 2026_11_30_console_pages
"""

from alembic import op

revision = "2026_11_30_console_pages"
down_revision = "2026_11_30_operators"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build them."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        CREATE INDEX ix_sessions_console ON sessions (tenant_id, created_at)
         WHERE purpose <> 'product' AND closed_at IS NULL
    """)
    op.execute("""
        CREATE INDEX ix_accounts_former ON accounts (tenant_id, lower(user_name))
         WHERE detached_at IS NOT NULL AND linked_to IS NULL
    """)


def downgrade() -> None:
    """Have all of a tenant's rows read to find them again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP INDEX ix_accounts_former")
    op.execute("DROP INDEX ix_sessions_console")
