"""Refused departures: who left while their tenant was suspended, and is taken out as it is resumed.

Revision: 2026_11_30_refused_departures
"""

from alembic import op

revision = "2026_11_30_refused_departures"
down_revision = "2026_11_30_features"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, empty. No foreign key to accounts: each row would lock its account, and departures would wait."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        CREATE TABLE refused_departures (
            tenant_id UUID NOT NULL,
            account_id UUID NOT NULL,
            epoch INTEGER NOT NULL,
            token_id UUID NOT NULL,
            token_label TEXT NOT NULL,
            action TEXT NOT NULL,
            request_id TEXT NOT NULL,
            refused_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            CONSTRAINT pk_refused_departures PRIMARY KEY (tenant_id, account_id),
            CONSTRAINT fk_refused_departures_tenant_id_tenants FOREIGN KEY (tenant_id) REFERENCES tenants (id)
        )
    """)
    op.execute("ALTER TABLE refused_departures ENABLE ROW LEVEL SECURITY")
    op.execute("""
        CREATE POLICY one_tenant ON refused_departures TO rollcall_runtime USING (tenant_id = rollcall_tenant())
    """)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON refused_departures TO rollcall_runtime")


def downgrade() -> None:
    """Take it away; it refuses while somebody is still to be taken out."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM refused_departures) THEN
                RAISE EXCEPTION 'people left while their tenant was suspended'
                    USING HINT = 'resume every tenant that is in refused_departures, or deactivate these people '
                                 'by hand and delete their rows; then go back';
            END IF;
        END $$
    """)
    op.execute("DROP TABLE refused_departures")
