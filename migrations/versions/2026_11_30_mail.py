"""Mail: what admins are to be written, and who does not want to be.

Revision: 2026_11_30_mail
"""

from alembic import op

revision = "2026_11_30_mail"
down_revision = "2026_11_30_alerts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables, empty. No foreign key to accounts: each row would lock its account."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        CREATE TABLE notices (
            tenant_id UUID NOT NULL,
            id UUID DEFAULT uuidv7() NOT NULL,
            topic TEXT NOT NULL,
            payload JSONB NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            due_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            attempts INTEGER DEFAULT 0 NOT NULL,
            told UUID[] DEFAULT '{}' NOT NULL,
            sent_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_notices PRIMARY KEY (tenant_id, id),
            CONSTRAINT fk_notices_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES tenants (id)
        )
    """)
    op.execute("CREATE INDEX ix_notices_due ON notices (due_at) WHERE sent_at IS NULL")
    op.execute("CREATE INDEX ix_notices_age ON notices (created_at)")
    op.execute("""
        CREATE TABLE mail_refusals (
            tenant_id UUID NOT NULL,
            account_id UUID NOT NULL,
            kind TEXT NOT NULL,
            refused_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            CONSTRAINT pk_mail_refusals PRIMARY KEY (tenant_id, account_id, kind)
        )
    """)
    for table in ("notices", "mail_refusals"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY one_tenant ON {table} TO rollcall_runtime USING (tenant_id = rollcall_tenant())")
    op.execute("CREATE POLICY fleet ON notices TO rollcall_fleet USING (true)")
    op.execute("GRANT SELECT, INSERT, UPDATE ON notices TO rollcall_runtime")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON notices TO rollcall_fleet")
    op.execute("GRANT SELECT, INSERT ON mail_refusals TO rollcall_runtime")


def downgrade() -> None:
    """Take both away; what was not sent is not sent."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE notices, mail_refusals")
