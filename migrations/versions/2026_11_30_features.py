"""Features: every plan there is gets what its tenants can do so far, destinations that hear of everything.

Revision: 2026_11_30_features
"""

from alembic import op

revision = "2026_11_30_features"
down_revision = "2026_11_30_usage"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give every plan the feature ``events``, which nothing asked for so far."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("UPDATE plans SET features = features || ARRAY['events'] WHERE NOT 'events' = ANY (features)")


def downgrade() -> None:
    """Leave it: without this nobody asks for it, and which plans had it before is not known."""
