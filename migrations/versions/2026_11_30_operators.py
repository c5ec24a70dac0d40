"""Operators as people: who they are, their passkeys, their sessions and the links that let them in the first time.

Revision: 2026_11_30_operators
"""

from alembic import op

revision = "2026_11_30_operators"
down_revision = "2026_11_30_ways_in"
branch_labels = None
depends_on = None

_TABLES = ("operators", "operator_passkeys", "operator_sessions")


def upgrade() -> None:
    """Make the tables, empty, for the fleet alone; a function judges a session for all others."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("""
        CREATE TABLE operators (
            id UUID NOT NULL,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            removed_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_operators PRIMARY KEY (id),
            CONSTRAINT ck_operators_name CHECK (char_length(name) BETWEEN 1 AND 200),
            CONSTRAINT ck_operators_role CHECK (role IN ('ops', 'billing', 'support'))
        )
    """)
    op.execute("CREATE UNIQUE INDEX uq_operators_name ON operators (name) WHERE removed_at IS NULL")
    op.execute("""
        CREATE TABLE operator_passkeys (
            id UUID NOT NULL,
            operator_id UUID NOT NULL,
            credential_id BYTEA NOT NULL,
            public_key BYTEA NOT NULL,
            sign_count BIGINT NOT NULL,
            transports TEXT[] NOT NULL,
            aaguid UUID NOT NULL,
            label TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            last_used_at TIMESTAMP WITH TIME ZONE,
            closed_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_operator_passkeys PRIMARY KEY (id),
            CONSTRAINT fk_operator_passkeys_operator_id_operators FOREIGN KEY (operator_id) REFERENCES operators (id),
            CONSTRAINT uq_operator_passkeys_credential_id UNIQUE (credential_id)
        )
    """)
    op.execute("CREATE INDEX ix_operator_passkeys_open ON operator_passkeys (operator_id) WHERE closed_at IS NULL")
    op.execute("""
        CREATE TABLE operator_sessions (
            id UUID NOT NULL,
            operator_id UUID NOT NULL,
            purpose TEXT NOT NULL,
            role TEXT NOT NULL,
            digest BYTEA NOT NULL,
            label TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            idle_at TIMESTAMP WITH TIME ZONE NOT NULL,
            closed_at TIMESTAMP WITH TIME ZONE,
            closed_because TEXT,
            CONSTRAINT pk_operator_sessions PRIMARY KEY (id),
            CONSTRAINT fk_operator_sessions_operator_id_operators FOREIGN KEY (operator_id) REFERENCES operators (id),
            CONSTRAINT ck_operator_sessions_purpose CHECK (purpose IN ('invitation', 'registration', 'console'))
        )
    """)
    op.execute("CREATE INDEX ix_operator_sessions_open ON operator_sessions (operator_id) WHERE closed_at IS NULL")
    op.execute("CREATE INDEX ix_operator_sessions_expiry ON operator_sessions (expires_at)")
    for table in _TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO rollcall_fleet")
    op.execute("GRANT DELETE ON operator_sessions TO rollcall_fleet")


def downgrade() -> None:
    """Forget who the operators are; their keys are no part of it, and work on."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    for table in reversed(_TABLES):
        op.execute(f"DROP TABLE {table}")
