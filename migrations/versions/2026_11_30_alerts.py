"""Alerts: what somebody should look at, open or over.

Revision: 2026_11_30_alerts
"""

from alembic import op

revision = "2026_11_30_alerts"
down_revision = "2026_11_30_owner_leaves"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, empty; what is due is opened within minutes."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        CREATE TABLE alerts (
            tenant_id UUID NOT NULL,
            id UUID DEFAULT uuidv7() NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            stage TEXT NOT NULL,
            facts JSONB NOT NULL,
            opened_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            closed_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_alerts PRIMARY KEY (tenant_id, id),
            CONSTRAINT fk_alerts_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES tenants (id)
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_alerts_open ON alerts (tenant_id, kind, subject, stage) WHERE closed_at IS NULL
    """)
    op.execute("CREATE INDEX ix_alerts_newest ON alerts (tenant_id, opened_at, id)")
    op.execute("CREATE INDEX ix_alerts_closed ON alerts (closed_at) WHERE closed_at IS NOT NULL")
    op.execute("ALTER TABLE alerts ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY one_tenant ON alerts TO rollcall_runtime USING (tenant_id = rollcall_tenant())")
    op.execute("CREATE POLICY fleet ON alerts TO rollcall_fleet USING (true)")
    op.execute("GRANT SELECT ON alerts TO rollcall_runtime, rollcall_fleet")


def downgrade() -> None:
    """Take it away; what is due then is not told any more."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE alerts")
