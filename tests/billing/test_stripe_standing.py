"""What Stripe's subscriptions, entitlements and invoices mean: a function of them and of nothing before."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from rollcall.billing.stripe_standing import SLACK, Found, candidate, standing_of
from rollcall.tenancy.standing import LATEST, BoughtPrice, Standing

Thing = dict[str, Any]


def moment(seconds: int) -> datetime:
    """A moment as Stripe says it."""
    return datetime.fromtimestamp(seconds, UTC)


def subscription(status: str, name: str = "sub_1", price: str = "price_1", **more: Any) -> Thing:
    """A subscription whose present period began at 500."""
    item = {"price": {"id": price, "lookup_key": None, "product": "prod"}, "quantity": 2, "current_period_start": 500}
    return {"id": name, "status": status, "created": 100, "items": {"data": [item]}, **more}


def meant(
    subscriptions: Sequence[Thing],
    entitled: Sequence[str] = (),
    invoices: Sequence[Thing] = (),
    had: Sequence[str] = (),
) -> Standing:
    """What all of it means."""
    return standing_of(Found(subscriptions, entitled, candidate(subscriptions), invoices, had))


BOUGHT = (BoughtPrice("price_1", None, 2),)


@pytest.mark.parametrize("status", ["active", "trialing"])
def test_paid(status: str) -> None:
    """What is active or tried gives its features and prices, without an end."""
    found = meant([subscription(status, trial_end=None)], ["scim", "events", "scim"])
    assert found == Standing(features=("events", "scim"), prices=BOUGHT)


def test_a_trial_is_asked_about_at_its_end() -> None:
    """A trial has no end of its own, for it may be paid then; it is asked."""
    assert meant([subscription("trialing", trial_end=900)]) == Standing(prices=BOUGHT, ask_again_at=moment(900))


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired"])
def test_never_paid(status: str) -> None:
    """What was never paid for is nothing, whatever entitlements say."""
    assert meant([subscription(status)], ["scim"]) == meant([], ["scim"]) == Standing()


def test_several_that_are_paid() -> None:
    """Of several all count; the end is the last one's, and only if all end."""
    both = [subscription("active", cancel_at=800), subscription("active", "sub_2", "price_2", cancel_at=900)]
    found = meant(both)
    assert [each.id for each in found.prices] == ["price_1", "price_2"]
    assert (found.ends_at, found.ask_again_at) == (moment(900), moment(800))
    both[0]["cancel_at"] = None
    assert (meant(both).ends_at, meant(both).ask_again_at) == (None, moment(900))


def test_one_that_is_paid_is_enough() -> None:
    """Beside one that is paid for those that are not make no difference."""
    others = [subscription("canceled", "sub_2", ended_at=700), subscription("past_due", "sub_3")]
    assert meant([*others, subscription("active")], ["scim"]) == meant([subscription("active")], ["scim"])


DATES: dict[str, tuple[Thing, Sequence[Thing], int]] = {
    "canceled": (subscription("canceled", ended_at=700), (), 700),
    "canceled while it owed": (subscription("canceled", ended_at=700), [{"created": 510}], 510),
    "canceled before it was due": (subscription("canceled", ended_at=700), [{"created": 510, "due_date": 800}], 700),
    "paused": (subscription("paused", trial_end=600), (), 600),
    "past due": (subscription("past_due"), [{"created": 510}], 510),
    "past due in the middle of a period": (subscription("past_due"), [{"created": 650}], 650),
    "past due by its date": (subscription("past_due"), [{"created": 510, "due_date": 590}], 590),
    "unpaid for two periods": (subscription("unpaid"), [{"created": 650}, {"created": 310}], 310),
    "unpaid without an open invoice": (subscription("unpaid"), (), 500),
}


@pytest.mark.parametrize(("ended", "invoices", "since"), DATES.values(), ids=DATES)
def test_since_when(ended: Thing, invoices: Sequence[Thing], since: int) -> None:
    """It has ended since Stripe's date; what it gave is what its products give, and no stale entitlement."""
    open_ones = [{"due_date": None, "next_payment_attempt": None, **each} for each in invoices]
    found = meant([ended], ["stale"], open_ones, ["scim"])
    stopped = {"canceled": moment(700), "paused": moment(600)}.get(ended["status"])
    assert found == Standing(features=("scim",), prices=BOUGHT, ends_at=moment(since), stopped_at=stopped)


def test_one_that_is_tried_again_counts() -> None:
    """Beside one that is paid for one that Stripe tries again to have paid counts too, until the next attempt."""
    both = [subscription("active", cancel_at=900), late := subscription("past_due", "sub_2", "price_2")]
    found = standing_of(Found(both, ["events"], None, (), ["scim"], [(late, 700)]))
    assert found.features == ("events", "scim")
    assert [each.id for each in found.prices] == ["price_1", "price_2"]
    assert (found.ends_at, found.ask_again_at) == (None, moment(700))


def test_beyond_all_time() -> None:
    """A date to which no days could be added is taken as the last one that there is."""
    assert meant([subscription("active", cancel_at=253_402_300_799)]).ends_at == LATEST


def test_while_stripe_tries() -> None:
    """Until a day after the next attempt everything works; once Stripe has given up, nothing more is added."""
    invoice = {"created": 510, "due_date": None, "next_payment_attempt": 1000}
    found = meant([subscription("past_due")], invoices=[invoice])
    assert (found.grace_until, found.ask_again_at) == (moment(1000) + SLACK, moment(1000))
    assert meant([subscription("unpaid")], invoices=[invoice]).grace_until is None


def test_the_last_one_counts() -> None:
    """Of those that have ended the one that is still there counts, else the one that ended last."""
    old, older = subscription("canceled", "sub_1", ended_at=700), subscription("canceled", "sub_2", ended_at=600)
    assert candidate([older, old]) == candidate([old, older]) == old
    assert candidate([old, owes := subscription("past_due", "sub_3")]) == owes
