"""Lapse: when a tenant lost SCIM, and what its plan says becomes of it then.

Revision: 2026_11_30_lapse
"""

from alembic import op

revision = "2026_11_30_lapse"
down_revision = "2026_11_30_role_changes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the dates and the terms; whoever had SCIM once, and lost it before there was this, may take away from now on.

    That somebody had it is known by a token for SCIM that was let in once. Everybody else is as before.
    """
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        ALTER TABLE plans
            ADD COLUMN lapse_grace_days INTEGER DEFAULT 0 NOT NULL,
            ADD COLUMN lapse_offboarding_days INTEGER,
            ADD CONSTRAINT ck_plans_lapse CHECK (lapse_grace_days >= 0 AND lapse_offboarding_days >= 0)
    """)
    op.execute("""
        ALTER TABLE tenants
            ADD COLUMN lapsed_at TIMESTAMP WITH TIME ZONE,
            ADD COLUMN offboarding_from TIMESTAMP WITH TIME ZONE,
            ADD COLUMN closes_at TIMESTAMP WITH TIME ZONE,
            ADD CONSTRAINT ck_tenants_lapse CHECK (
                (lapsed_at IS NULL) = (offboarding_from IS NULL)
                AND (closes_at IS NULL OR closes_at >= offboarding_from AND lapsed_at IS NOT NULL))
    """)
    op.execute("""
        UPDATE tenants n SET lapsed_at = statement_timestamp(), offboarding_from = statement_timestamp()
         WHERE EXISTS (SELECT FROM plans p WHERE p.key = n.plan AND NOT 'scim' = ANY (p.features))
           AND EXISTS (SELECT FROM tokens t WHERE t.tenant_id = n.id AND t.scopes && ARRAY['scim', 'scim:read']
                          AND t.last_used_at IS NOT NULL)
    """)


def downgrade() -> None:
    """Take all of it away: a plan without SCIM refuses everything again."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE tenants DROP COLUMN lapsed_at, DROP COLUMN offboarding_from, DROP COLUMN closes_at")
    op.execute("ALTER TABLE plans DROP COLUMN lapse_grace_days, DROP COLUMN lapse_offboarding_days")
