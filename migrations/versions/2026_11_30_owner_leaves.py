"""Owners who leave: what becomes of their connection, and who took it over.

Revision: 2026_11_30_owner_leaves
"""

from alembic import op

revision = "2026_11_30_owner_leaves"
down_revision = "2026_11_30_refused_departures"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the choice, which is what was so far, and to tokens and receipts what it needs."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        ALTER TABLE tenants
            ADD COLUMN owner_leaves TEXT DEFAULT 'stop' NOT NULL,
            ADD CONSTRAINT ck_tenants_owner_leaves CHECK (owner_leaves IN ('stop', 'offboarding_only'))
    """)
    op.execute("""
        ALTER TABLE tokens
            ADD COLUMN handed_over_at TIMESTAMP WITH TIME ZONE,
            ADD COLUMN expires_before TIMESTAMP WITH TIME ZONE
    """)
    op.execute("ALTER TABLE receipts ADD COLUMN restricted JSONB")


def downgrade() -> None:
    """Take it away: an owner has to be an active admin again, and what was handed over expires as it does."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE receipts DROP COLUMN restricted")
    op.execute("ALTER TABLE tokens DROP COLUMN handed_over_at, DROP COLUMN expires_before")
    op.execute("ALTER TABLE tenants DROP COLUMN owner_leaves")
