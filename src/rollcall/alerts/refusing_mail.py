"""Having no more mail of a kind: the key that a mail carries, and what it does."""

from dataclasses import dataclass
from uuid import UUID

import orjson
from sqlalchemy.dialects.postgresql import insert

from rollcall.alerts.models import MailRefusal
from rollcall.crypto import CannotOpen, Sealer
from rollcall.errors import NotFound
from rollcall.work import Work


@dataclass(frozen=True, slots=True)
class MailKey:
    """Who has no more mail of which kind by it."""

    tenant_id: UUID
    account_id: UUID
    kind: str

    def sealed(self, sealer: Sealer) -> str:
        """The key as it stands in a mail."""
        return sealer.seal(orjson.dumps([str(self.tenant_id), str(self.account_id), self.kind]))


def read_key(sealer: Sealer, sealed: str) -> MailKey:
    """The key that a mail carries.

    Raises:
        NotFound: it is none of this installation's.
    """
    try:
        tenant_id, account_id, kind = orjson.loads(sealer.open(sealed))
        return MailKey(UUID(tenant_id), UUID(account_id), str(kind))
    except (CannotOpen, ValueError) as error:
        msg = "mail"
        raise NotFound(msg) from error


async def refuse(work: Work, key: MailKey) -> None:
    """Have somebody written no more mail of a kind. Doing it twice is the same as doing it once."""
    row = {"tenant_id": key.tenant_id, "account_id": key.account_id, "kind": key.kind}
    await work.db.execute(insert(MailRefusal).values(row).on_conflict_do_nothing())
