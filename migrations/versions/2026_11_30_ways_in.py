"""Ways in: passwords for emergencies, codes by mail, links for somebody without an account, and sessions that idle out.

Revision: 2026_11_30_ways_in
"""

from alembic import op

revision = "2026_11_30_ways_in"
down_revision = "2026_11_30_cheaper_triggers"
branch_labels = None
depends_on = None

_BEFORE = "'product', 'console', 'console_code', 'portal', 'portal_link'"


def upgrade() -> None:
    """Make both tables, empty, and add to sessions what is not known of those that are there."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE tenants ADD COLUMN break_glass TEXT[] DEFAULT '{}' NOT NULL")
    op.execute("""
        CREATE TABLE passwords (
            tenant_id UUID NOT NULL,
            id UUID DEFAULT uuidv7() NOT NULL,
            account_id UUID NOT NULL,
            epoch INTEGER NOT NULL,
            hash TEXT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            last_used_at TIMESTAMP WITH TIME ZONE,
            closed_at TIMESTAMP WITH TIME ZONE,
            closed_because TEXT,
            CONSTRAINT pk_passwords PRIMARY KEY (tenant_id, id),
            CONSTRAINT fk_passwords_tenant_id_accounts FOREIGN KEY (tenant_id, account_id)
                REFERENCES accounts (tenant_id, id)
        )
    """)
    op.execute("CREATE UNIQUE INDEX ix_passwords_open ON passwords (tenant_id, account_id) WHERE closed_at IS NULL")
    op.execute("CREATE INDEX ix_passwords_closed ON passwords (tenant_id, account_id) WHERE closed_at IS NOT NULL")
    op.execute("ALTER TABLE passwords ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY one_tenant ON passwords TO rollcall_runtime USING (tenant_id = rollcall_tenant())")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON passwords TO rollcall_runtime")
    op.execute("""
        CREATE TABLE mail_codes (
            id UUID NOT NULL,
            address TEXT NOT NULL,
            digest BYTEA,
            found JSONB,
            wrong INTEGER DEFAULT 0 NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            due_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            sent_at TIMESTAMP WITH TIME ZONE,
            entered_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_mail_codes PRIMARY KEY (id)
        )
    """)
    op.execute("CREATE INDEX ix_mail_codes_due ON mail_codes (due_at) WHERE sent_at IS NULL")
    op.execute("CREATE INDEX ix_mail_codes_age ON mail_codes (created_at)")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON mail_codes TO rollcall_fleet")
    op.execute(
        "CREATE INDEX ix_passkeys_credential ON passkeys (credential_id)"
        " WHERE closed_at IS NULL AND credential_id <> ''"
    )
    op.execute("""
        ALTER TABLE sessions
            ADD COLUMN seen_at TIMESTAMP WITH TIME ZONE,
            ADD COLUMN proved_at TIMESTAMP WITH TIME ZONE,
            ADD COLUMN link_id UUID
    """)
    _let_in(f"{_BEFORE}, 'contact_link'", "'portal', 'portal_link', 'contact_link'")


def downgrade() -> None:
    """Take both tables away, links for somebody without an account, and the sessions that these opened."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DELETE FROM sessions WHERE purpose = 'contact_link' OR link_id IS NOT NULL")
    _let_in(_BEFORE, "'portal', 'portal_link'")
    op.execute("ALTER TABLE sessions DROP COLUMN seen_at, DROP COLUMN proved_at, DROP COLUMN link_id")
    op.execute("DROP INDEX ix_passkeys_credential")
    op.execute("DROP TABLE mail_codes, passwords")
    op.execute("ALTER TABLE tenants DROP COLUMN break_glass")


def _let_in(purposes: str, with_intent: str) -> None:
    """Say which purposes there are, and which of them are for one intent; the sessions are read once meanwhile."""
    op.execute("ALTER TABLE sessions DROP CONSTRAINT ck_sessions_purpose, DROP CONSTRAINT ck_sessions_intent")
    op.execute(f"ALTER TABLE sessions ADD CONSTRAINT ck_sessions_purpose CHECK (purpose IN ({purposes}))")
    op.execute(
        "ALTER TABLE sessions ADD CONSTRAINT ck_sessions_intent"
        f" CHECK ((intent IS NOT NULL) = (purpose IN ({with_intent})))"
    )
