"""Portal links and their sessions: rows of sessions with an intent and a way back.

Revision: 2026_11_30_portal
"""

from alembic import op

revision = "2026_11_30_portal"
down_revision = "2026_11_30_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns, empty, and let in the new purposes.

    The sessions are read once meanwhile, a fifth of a second for a million of them, and nobody is told of one.
    """
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE sessions ADD COLUMN intent text, ADD COLUMN return_url text")
    op.execute("ALTER TABLE sessions DROP CONSTRAINT ck_sessions_purpose")
    op.execute(
        "ALTER TABLE sessions ADD CONSTRAINT ck_sessions_purpose"
        " CHECK (purpose IN ('product', 'console', 'console_code', 'portal', 'portal_link'))"
    )
    op.execute(
        "ALTER TABLE sessions ADD CONSTRAINT ck_sessions_intent"
        " CHECK ((intent IS NOT NULL) = (purpose IN ('portal', 'portal_link')))"
    )
    _note_before("'console', 'portal'")


def downgrade() -> None:
    """Take away links and sessions of the portal, and what only they need."""
    op.execute("SET LOCAL lock_timeout = '5s'")
    _note_before("'console'")
    op.execute("DELETE FROM sessions WHERE purpose IN ('portal', 'portal_link')")
    op.execute("ALTER TABLE sessions DROP CONSTRAINT ck_sessions_intent, DROP CONSTRAINT ck_sessions_purpose")
    op.execute(
        "ALTER TABLE sessions ADD CONSTRAINT ck_sessions_purpose"
        " CHECK (purpose IN ('product', 'console', 'console_code'))"
    )
    op.execute("ALTER TABLE sessions DROP COLUMN intent, DROP COLUMN return_url")


def _note_before(purposes: str) -> None:
    """Have it noted of sessions of these purposes that the transaction which closes them was begun with them open."""
    op.execute("DROP TRIGGER note_before ON sessions")
    op.execute(
        "CREATE TRIGGER note_before AFTER UPDATE OF closed_at ON sessions FOR EACH ROW"
        f" WHEN (NEW.purpose IN ({purposes}) AND OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL)"
        " EXECUTE FUNCTION note_before()"
    )
