"""Receivers that hang, fail, hang up and are gone, side by side with one that is well."""

from faults.departures import a_company
from faults.installation import Installation
from faults.receivers import Receivers, answer, hang, hang_up, take

PEOPLE = 200
A_SECOND = 20
LONGEST_DELAY = 2.0
"""Seconds within which 99 of 100 calls reach the receiver that is well."""


def test_ill_receivers(installation: Installation, receivers: Receivers) -> None:
    """Who is well hears at once, whatever the others do; those hear everything once when they are well again."""
    well = receivers.listen("well")
    hanging, failing = receivers.listen("hanging", hang), receivers.listen("failing", answer(500))
    closing, gone = receivers.listen("closing", hang_up), receivers.listen("gone", answer(410))
    company = a_company(installation, well, hanging, failing, closing, gone)
    company.dismiss(company.hire(PEOPLE), per_second=A_SECOND)
    for ill in (hanging, failing, closing):
        assert ill.heard
        ill.behave = take
    figures = company.settle(
        "receivers that hang, answer 500, hang up, answer 410",
        within=90,
        states={"gone": "cancelled"},
        healthy=["well"],
    )
    assert figures.told_p99 < LONGEST_DELAY
    assert len(gone.heard) <= 10, "whoever said 410 hears no more than was under way"
    for ill in (hanging, failing, closing):
        tried = len(ill.heard) - PEOPLE
        assert tried <= 40, f"{ill.name} was called {tried} times in vain"
