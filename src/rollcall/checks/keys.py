"""Whether there is a key to sign with, and the settings' keys open what is stored."""

from collections import Counter

from rollcall.checks.asking import ACTOR, ORIGIN, Grounds
from rollcall.checks.model import Check, failed, ok, warning
from rollcall.crypto import CannotOpen, Sealer, Under
from rollcall.db import Database
from rollcall.events import destination_secrets
from rollcall.proof import signing
from rollcall.work import TenantRef, open_fleet, open_work

KEYS = "keys"


async def keys(grounds: Grounds) -> Check:
    """Whether signing and opening what is sealed will work."""
    async with open_fleet(grounds.database, ACTOR, ORIGIN) as fleet:
        if not any(signing.is_needed(key, fleet.now) for key in await signing.every(fleet)):
            return failed(KEYS, "there is no signing key", "run 'rollcall migrate'")
    stood = await sealed_under(grounds.database, Sealer.of(grounds.settings))
    if lost := stood[Under.NONE]:
        return failed(KEYS, f"ROLLCALL_SECRET_KEYS does not open what is stored: {lost} of it", str(CannotOpen()))
    if older := stood[Under.OLDER]:
        said = f"ROLLCALL_SECRET_KEYS opens what is stored; {older} of it takes an older key"
        return warning(KEYS, said, "'rollcall secret reseal' brings it under the first, once every process has that")
    return ok(KEYS, "the first of ROLLCALL_SECRET_KEYS opens everything that is stored")


async def sealed_under(database: Database, sealer: Sealer) -> Counter[Under]:
    """Under which keys everything stands that is sealed and needed."""
    async with open_fleet(database, ACTOR, ORIGIN) as fleet:
        stood = signing.sealed_under(await signing.every(fleet), sealer, fleet.now)
        tenants = await destination_secrets.tenants_with_secrets(fleet)
    for tenant_id in tenants:
        async with open_work(database, TenantRef(tenant_id, str(tenant_id)), ACTOR, ORIGIN) as work:
            stood += await destination_secrets.sealed_under(work, sealer)
    return stood
