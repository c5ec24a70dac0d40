"""Closed plans: those that no tenant is put on any more.

Revision: 2026_11_30_closed_plans
"""

from alembic import op

revision = "2026_11_30_closed_plans"
down_revision = "2026_11_30_operator_roles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark; no plan is closed."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE plans ADD COLUMN closed BOOLEAN DEFAULT false NOT NULL")


def downgrade() -> None:
    """Take it away; every plan can be chosen again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE plans DROP COLUMN closed")
