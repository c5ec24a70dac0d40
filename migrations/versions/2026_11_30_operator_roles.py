"""Operators' roles: what an operator's key may do.

Revision: 2026_11_30_operator_roles
"""

from alembic import op

revision = "2026_11_30_operator_roles"
down_revision = "2026_11_30_payment"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the role; operators' keys that are there may do everything, as so far; so may those of the old release."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        ALTER TABLE installation_keys
            ADD COLUMN role TEXT,
            ADD CONSTRAINT ck_installation_keys_role
                CHECK (role IS NULL OR kind = 'op' AND role IN ('ops', 'billing', 'support'))
    """)
    op.execute("UPDATE installation_keys SET role = 'ops' WHERE kind = 'op'")


def downgrade() -> None:
    """Take it away, and end the keys that may not do everything: without a role they could."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        UPDATE installation_keys SET revoked_at = clock_timestamp()
         WHERE role IN ('billing', 'support') AND revoked_at IS NULL
    """)
    op.execute("ALTER TABLE installation_keys DROP COLUMN role")
