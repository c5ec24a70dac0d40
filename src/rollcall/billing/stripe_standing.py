"""What Stripe's subscriptions, entitlements and invoices mean, as a pure function of them and of nothing before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rollcall.tenancy.standing import LATEST, BoughtPrice, Standing

Listed = Mapping[str, Any]
"""One thing of Stripe's, as its API gives it."""

PAID: Final = ("active", "trialing")
ENDED: Final = ("past_due", "unpaid", "paused", "canceled")
"""States of a subscription that was paid for; in all others (incomplete …) it never was."""

SLACK: Final = timedelta(days=1)
"""For so long after Stripe tries again to be paid everything works, until it is known how that went."""


@dataclass(frozen=True, slots=True)
class Found:
    """What Stripe has of a customer."""

    subscriptions: Sequence[Listed]
    entitled: Sequence[str]
    """Lookup keys of the active entitlements, where a subscription is paid for; a cancelled one may leave some."""
    ended: Listed | None
    """The subscription that counts where none is paid for."""
    invoices: Sequence[Listed]
    """Its open invoices."""
    features: Sequence[str]
    """Lookup keys of the features of its products, which the customer had by it."""
    retried: Sequence[tuple[Listed, int]] = ()
    """Beside one that is paid for: those past due that Stripe tries again to have paid, each with the next attempt, in
    seconds since 1970."""
    paid_at: int | None = None
    """When its newest invoice that was paid was made, in seconds since 1970; what was owed before is forgiven."""


def candidate(subscriptions: Sequence[Listed]) -> Listed | None:
    """The ended subscription that counts: None where one is paid for, or none ever was; else the last one that was."""
    if any(each["status"] in PAID for each in subscriptions):
        return None
    ended = [each for each in subscriptions if each["status"] in ENDED]
    return max(ended, key=lambda each: (each["status"] != "canceled", _end(each), each["id"]), default=None)


def past_due_beside(subscriptions: Sequence[Listed]) -> Sequence[Listed]:
    """Those that are past due beside one that is paid for: they count as paid while Stripe tries again."""
    return [each for each in subscriptions if each["status"] == "past_due"]


def next_attempt(invoices: Sequence[Listed]) -> int | None:
    """When Stripe tries again to have open invoices paid, in seconds since 1970; None: it does not."""
    attempts = [invoice["next_payment_attempt"] for invoice in invoices if invoice.get("next_payment_attempt")]
    return max(attempts, default=None)


def standing_of(found: Found) -> Standing:
    """What all of it means."""
    if found.ended is None:
        return _paid(found)
    ended = found.ended
    owed = [each for each in found.invoices if found.paid_at is None or each["created"] > found.paid_at]
    unpaid = [invoice.get("due_date") or invoice["created"] for invoice in owed]
    attempt = next_attempt(owed)
    again = _moment(attempt) if attempt is not None and ended["status"] == "past_due" else None
    # An invoice that is owed says since when, also in the middle of a period; who cancels owes nothing after that.
    ends = [*unpaid, _end(ended)] if ended["status"] == "canceled" or not unpaid else unpaid
    return Standing(
        features=tuple(sorted(set(found.features))),
        prices=_bought([ended]),
        ends_at=_moment(min(ends)),
        grace_until=None if again is None else again + SLACK,
        stopped_at=_moment(_end(ended)) if ended["status"] in ("canceled", "paused") else None,
        ask_again_at=again,
    )


def _paid(found: Found) -> Standing:
    paid = [each for each in found.subscriptions if each["status"] in PAID]
    retried = [each for each, _ in found.retried]
    ends = [each.get("cancel_at") for each in (*paid, *retried)]
    known = [end for end in ends if end is not None]
    trials = [each["trial_end"] for each in paid if each["status"] == "trialing" and each.get("trial_end")]
    ahead = [*trials, *known, *(attempt for _, attempt in found.retried)]
    return Standing(
        features=tuple(sorted({*found.entitled, *found.features})) if paid else (),
        prices=_bought([*paid, *retried]),
        ends_at=_moment(max(known)) if known and len(known) == len(ends) else None,
        ask_again_at=_moment(min(ahead)) if ahead else None,
    )


def _bought(subscriptions: Sequence[Listed]) -> tuple[BoughtPrice, ...]:
    items = [item for each in subscriptions for item in each["items"]["data"]]
    prices = [
        BoughtPrice(item["price"]["id"], item["price"].get("lookup_key"), item.get("quantity") or 0) for item in items
    ]
    return tuple(sorted(prices, key=lambda each: (each.id, each.quantity)))


def _end(subscription: Listed) -> int:
    """When what was paid for ended, in seconds since 1970, by the subscription alone."""
    match subscription["status"]:
        case "canceled":
            return subscription.get("ended_at") or subscription.get("canceled_at") or subscription["created"]
        case "paused":
            return subscription.get("trial_end") or _period(subscription)
        case _:
            return _period(subscription)


def _period(subscription: Listed) -> int:
    """The beginning of the present period, which was not paid for."""
    begins = [
        item["current_period_start"] for item in subscription["items"]["data"] if item.get("current_period_start")
    ]
    return min(begins, default=subscription["created"])


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(seconds, LATEST.timestamp()), UTC)
