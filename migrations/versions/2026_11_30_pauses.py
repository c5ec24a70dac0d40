"""Pauses: until when a tenant's provider is told to come again later.

Revision: 2026_11_30_pauses
"""

from alembic import op

revision = "2026_11_30_pauses"
down_revision = "2026_11_30_lapse"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the moment; nobody is paused."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE tenants ADD COLUMN paused_until TIMESTAMP WITH TIME ZONE")


def downgrade() -> None:
    """Take it away; whoever is paused is not any more."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE tenants DROP COLUMN paused_until")
