"""Auditors: the scope `auditor` becomes Rollcall's own, so no token of the product's may have it.

Revision: 2026_11_30_auditors
"""

from alembic import op
from sqlalchemy import text

from rollcall.tables import MigrationRefused

revision = "2026_11_30_auditors"
down_revision = "2026_11_30_closed_plans"
branch_labels = None
depends_on = None

_LIVE = (
    "FROM tokens WHERE 'auditor' = ANY (scopes) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
)
_LISTED = f"SELECT tenant_id, id, owner_id, label {_LIVE};"


def upgrade() -> None:
    """Change nothing; refuse while the product's tokens have the scope, for they would open Rollcall."""
    if found := _live():
        msg = (
            f"live tokens of your product with the scope “auditor”: {found}. The scope is Rollcall's own from this "
            "version on, and they would read tenants' audits. Give whoever has one a token with another scope, revoke "
            f"these (DELETE /v1/tenants/TENANT/people/PERSON/tokens/ID), and migrate again. They are: {_LISTED}"
        )
        raise MigrationRefused(msg)


def downgrade() -> None:
    """Change nothing; refuse while auditors have tokens, which would be the product's: it would let them in."""
    if found := _live():
        msg = f"live tokens for auditors: {found}. Revoke them before going back ('rollcall tokens revoke'): {_LISTED}"
        raise MigrationRefused(msg)


def _live() -> int:
    return int(op.get_bind().execute(text(f"SELECT count(*) {_LIVE}")).scalar_one())
