"""What tells tenants' providers apart, and profiles that take themselves once.

Revision: 2026_11_30_provider_marks
"""

from alembic import op

revision = "2026_11_30_provider_marks"
down_revision = "2026_11_30_name_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; every tenant there is keeps the profile it has.

    ``profile`` stays the one in effect, which an older version goes on reading; whether it takes itself stands beside.
    """
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        ALTER TABLE tenants
            ADD COLUMN profile_auto BOOLEAN DEFAULT false NOT NULL,
            ADD COLUMN profile_taken_at TIMESTAMP WITH TIME ZONE
    """)
    op.execute("GRANT UPDATE (profile, profile_taken_at) ON tenants TO rollcall_runtime")
    op.execute("""
        CREATE TABLE provider_marks (
            tenant_id UUID NOT NULL,
            mark TEXT NOT NULL,
            first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
            last_seen TIMESTAMP WITH TIME ZONE NOT NULL,
            times BIGINT NOT NULL,
            CONSTRAINT pk_provider_marks PRIMARY KEY (tenant_id, mark)
        )
    """)
    op.execute("ALTER TABLE provider_marks ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY one_tenant ON provider_marks TO rollcall_runtime USING (tenant_id = rollcall_tenant())")
    op.execute("CREATE POLICY fleet ON provider_marks TO rollcall_fleet USING (true)")
    op.execute("GRANT SELECT ON provider_marks TO rollcall_runtime")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON provider_marks TO rollcall_fleet")


def downgrade() -> None:
    """Take both away; tenants keep the profile that is in effect."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE provider_marks")
    op.execute("REVOKE UPDATE (profile, profile_taken_at) ON tenants FROM rollcall_runtime")
    op.execute("ALTER TABLE tenants DROP COLUMN profile_auto, DROP COLUMN profile_taken_at")
