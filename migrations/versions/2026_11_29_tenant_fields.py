"""Tenants' fields for the vendor: their own id for the customer, and words of their own about it.

Revision: 2026_11_29_tenant_fields
"""

from alembic import op

revision = "2026_11_29_tenant_fields"
down_revision = "2026_11_29_idempotency"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; every tenant there is has neither."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        ALTER TABLE tenants
            ADD COLUMN external_id TEXT COLLATE "C",
            ADD COLUMN metadata JSONB DEFAULT '{}' NOT NULL,
            ADD CONSTRAINT uq_tenants_external_id UNIQUE (external_id),
            ADD CONSTRAINT ck_tenants_external_id CHECK (char_length(external_id) BETWEEN 1 AND 255),
            ADD CONSTRAINT ck_tenants_metadata CHECK (jsonb_typeof(metadata) = 'object')
    """)


def downgrade() -> None:
    """Take both away, with what they say."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE tenants DROP COLUMN external_id, DROP COLUMN metadata")
