"""Two of everything at work on the same departures."""

from faults.departures import a_company
from faults.installation import DELIVERY, RELAY, SETTLING, Installation
from faults.receivers import Receivers

PEOPLE = 400


def test_two_of_everything(installation: Installation, receivers: Receivers) -> None:
    """Two relays and two workers of each kind race; each destination hears each message once, at the first attempt."""
    second = {f"second {name}": name for name in (RELAY, SETTLING, DELIVERY)}
    for name, like in second.items():
        installation.start(name, like=like)
    try:
        company = a_company(installation, receivers.listen("one"), receivers.listen("other"))
        company.dismiss(company.hire(PEOPLE))
        company.settle("two relays, two workers of each kind", within=120)
        with installation.sql() as sql:
            attempts = "SELECT count(*), max(attempts) AS most FROM deliveries WHERE tenant_id = $1"
            (row,) = sql.fetch(attempts, company.id)
            receipts = sql.fetchval("SELECT count(*) FROM receipts WHERE tenant_id = $1", company.id)
    finally:
        installation.stop(*second)
    assert (row["count"], row["most"], receipts) == (2 * PEOPLE, 1, PEOPLE)
