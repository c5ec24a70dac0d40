"""Usage: how many people of each tenant were active, month by month.

Revision: 2026_11_30_usage
"""

from alembic import op

revision = "2026_11_30_usage"
down_revision = "2026_11_30_seats"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; it is counted from the first look of a worker on."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        CREATE TABLE seat_usage (
            tenant_id UUID NOT NULL,
            month DATE NOT NULL,
            counted_from TIMESTAMP WITH TIME ZONE NOT NULL,
            counted_at TIMESTAMP WITH TIME ZONE NOT NULL,
            active BIGINT NOT NULL,
            peak BIGINT NOT NULL,
            person_seconds NUMERIC NOT NULL,
            CONSTRAINT pk_seat_usage PRIMARY KEY (tenant_id, month)
        )
    """)
    op.execute("ALTER TABLE seat_usage ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY one_tenant ON seat_usage TO rollcall_runtime USING (tenant_id = rollcall_tenant())")
    op.execute("CREATE POLICY fleet ON seat_usage TO rollcall_fleet USING (true)")
    op.execute("GRANT SELECT ON seat_usage TO rollcall_runtime")
    op.execute("GRANT SELECT, INSERT, UPDATE ON seat_usage TO rollcall_fleet")


def downgrade() -> None:
    """Forget what was used; nothing else has it."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP TABLE seat_usage")
