"""Payment: what providers say of customers, which tenants these are, and what prices stand for.

Revision: 2026_11_30_payment
"""

from alembic import op

revision = "2026_11_30_payment"
down_revision = "2026_11_30_account_history"
branch_labels = None
depends_on = None

_TABLES = ("billing_customers", "billing_events", "billing_prices")


def upgrade() -> None:
    """Make the tables, empty, and let a tenant have a customer and a plan that payment stands in for."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        ALTER TABLE tenants
            ADD COLUMN customer TEXT COLLATE "C",
            ADD COLUMN plan_without_payment TEXT,
            ADD CONSTRAINT uq_tenants_customer UNIQUE (customer),
            ADD CONSTRAINT ck_tenants_customer CHECK (char_length(customer) BETWEEN 1 AND 255),
            ADD CONSTRAINT fk_tenants_plan_without_payment_plans FOREIGN KEY (plan_without_payment)
                REFERENCES plans (key)
    """)
    op.execute("""
        CREATE TABLE billing_customers (
            customer TEXT COLLATE "C" NOT NULL,
            provider TEXT NOT NULL,
            said JSONB,
            asked_at TIMESTAMP WITH TIME ZONE,
            heard_at TIMESTAMP WITH TIME ZONE,
            applied_at TIMESTAMP WITH TIME ZONE,
            due_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            lease UUID,
            attempts INTEGER DEFAULT 0 NOT NULL,
            error TEXT,
            CONSTRAINT pk_billing_customers PRIMARY KEY (customer)
        )
    """)
    op.execute("CREATE INDEX ix_billing_customers_due ON billing_customers (due_at)")
    op.execute("""
        CREATE TABLE billing_events (
            provider TEXT NOT NULL,
            id TEXT COLLATE "C" NOT NULL,
            kind TEXT NOT NULL,
            customer TEXT COLLATE "C",
            happened_at TIMESTAMP WITH TIME ZONE NOT NULL,
            received_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            said JSONB,
            CONSTRAINT pk_billing_events PRIMARY KEY (provider, id)
        )
    """)
    op.execute("CREATE INDEX ix_billing_events_customer ON billing_events (customer, happened_at)")
    op.execute("CREATE INDEX ix_billing_events_age ON billing_events (received_at)")
    op.execute("""
        CREATE TABLE billing_prices (
            price TEXT COLLATE "C" NOT NULL,
            plan TEXT,
            seats_by_quantity BOOLEAN NOT NULL,
            CONSTRAINT pk_billing_prices PRIMARY KEY (price),
            CONSTRAINT fk_billing_prices_plan_plans FOREIGN KEY (plan) REFERENCES plans (key)
        )
    """)
    for table in _TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO rollcall_fleet")


def downgrade() -> None:
    """Leave each tenant on the plan it has; who pays for it is forgotten, and asked for again after coming back."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("UPDATE tenants SET overrides = nullif(overrides - 'paid', '{}') WHERE overrides ? 'paid'")
    op.execute("ALTER TABLE tenants DROP COLUMN customer, DROP COLUMN plan_without_payment")
    for table in _TABLES:
        op.execute(f"DROP TABLE {table}")
