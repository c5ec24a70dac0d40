"""Challenges that are kept nowhere until they are answered: afterwards their ids are, for minutes.

Revision: 2026_11_29_answered_challenges
"""

from alembic import op

revision = "2026_11_29_answered_challenges"
down_revision = "2026_11_29_refusals"
branch_labels = None
depends_on = None

_NAME = "ck_passkey_challenges_purpose"


def upgrade() -> None:
    """Let a row say that a challenge was answered."""
    _allow("'registration', 'sign_in', 'answered'")


def downgrade() -> None:
    """Forget which were answered; whoever has one of the last five minutes begins anew."""
    op.execute("DELETE FROM passkey_challenges WHERE purpose = 'answered'")
    _allow("'registration', 'sign_in'")


def _allow(purposes: str) -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute(f"ALTER TABLE passkey_challenges DROP CONSTRAINT {_NAME}")
    op.execute(f"ALTER TABLE passkey_challenges ADD CONSTRAINT {_NAME} CHECK (purpose IN ({purposes}))")
