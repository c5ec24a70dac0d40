"""Asking providers about customers that are due: leased, asked without a transaction, and brought to tenants.

It is asked once an event was heard, at each date that the provider named, and once a day: what got lost is found then.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError

from rollcall.billing import leases
from rollcall.billing.entitlements import OwnBilling
from rollcall.billing.leases import AnswerOverdue, Leased
from rollcall.billing.provider import CanNotAsk, Provider
from rollcall.billing.stripe_api import StripeBilling
from rollcall.db import Database
from rollcall.errors import Refusal
from rollcall.settings import Settings
from rollcall.tenancy import customers, features
from rollcall.tenancy.customers import OWN, STRIPE
from rollcall.work import SYSTEM, Actor, RequestOrigin, open_fleet

log = structlog.get_logger(__name__)

AT_ONCE: Final = 12
"""Customers that are leased together."""

SIDE_BY_SIDE: Final = 4
"""Customers that are asked about at the same moment."""

LEASE_SECONDS: Final = 180.0
"""How long asking about a batch may take before somebody else does."""

ORIGIN: Final = RequestOrigin(request_id="payment")

Providers = Mapping[str, Provider]


def providers(settings: Settings, database: Database | None = None) -> Providers:
    """The payment providers of an installation, by the names under which their customers are kept."""
    return {STRIPE: StripeBilling.of(settings), OWN: OwnBilling.of(settings, database)}


async def ask_due(database: Database, those: Providers, *, rounds: int = 50) -> Counter[str]:
    """Ask about all who are due, some at a time; returns how many were asked, failed, and have changed a tenant."""
    done = Counter[str](asked=0, failed=0, changed=0)
    for _ in range(rounds):
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            leased = await leases.lease(fleet, limit=AT_ONCE, seconds=LEASE_SECONDS)
        for each in await _ask_all(database, those, leased):
            done.update(each)
        if len(leased) < AT_ONCE:
            break
    return done


async def ask_everybody(database: Database, those: Providers) -> Counter[str]:
    """Ask about all customers now, each once; returns the same."""
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        number = await customers.expect_all(fleet)
    return await ask_due(database, those, rounds=number // AT_ONCE + 1)


async def ask_one(database: Database, those: Providers, customer: str, actor: Actor = SYSTEM) -> Counter[str]:
    """Ask about one customer now, due or not.

    Raises:
        NotFound: nobody has heard of it.
    """
    async with open_fleet(database, actor, ORIGIN) as fleet:
        leased = await leases.lease_one(fleet, customer, seconds=LEASE_SECONDS)
    return await _ask(database, those, leased)


async def _ask_all(database: Database, those: Providers, leased: Sequence[Leased]) -> Sequence[Counter[str]]:
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def in_turn(each: Leased) -> Counter[str]:
        async with turn:
            return await _ask(database, those, each)

    answers = await asyncio.gather(*(in_turn(each) for each in leased), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer  # the database is away; all have ended, and their leases run out
    return [answer for answer in answers if not isinstance(answer, BaseException)]


async def _ask(database: Database, those: Providers, leased: Leased) -> Counter[str]:
    """Ask about one customer, and write down what was answered, or why nothing was."""
    try:
        standing = await those[leased.provider].ask(leased.customer)
        async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
            if standing is None:
                await leases.unheard(fleet, leased)
            changed = standing is not None and await leases.answered(fleet, leased, standing)
    except AnswerOverdue:
        log.info("a payment provider's answer was overtaken; it is asked again", customer=leased.customer)
        return Counter(overtaken=1)
    except CanNotAsk as error:
        return await _failed(database, leased, str(error), puts_off=True)
    except Refusal as error:
        return await _failed(database, leased, str(error))
    except DBAPIError as error:  # the lock of a tenant that is busy is not to be had
        log.warning("what a payment provider answered was not stored", customer=leased.customer, exc_info=error)
        return await _failed(database, leased, "the database was too busy to bring it to the tenant; see the log")
    except Exception as error:  # whatever is wrong with one customer, the others are asked about
        log.exception("asking a payment provider about a customer failed", customer=leased.customer)
        said = f"asking about it failed unexpectedly ({type(error).__name__}): see the worker's log, and report it"
        return await _failed(database, leased, said)
    if standing is not None and (ignored := features.ignored(standing.features)):
        log.warning("what is paid for is no feature, and gives nothing", customer=leased.customer, ignored=ignored)
    log.info("a payment provider was asked", customer=leased.customer, tenant_changed=changed)
    return Counter(asked=1, changed=int(changed))


async def _failed(database: Database, leased: Leased, why: str, *, puts_off: bool = False) -> Counter[str]:
    """Note why nothing was answered; *puts_off*: the provider is away, so the tenant keeps what would end meanwhile."""
    log.warning("a payment provider could not be asked; it is tried again", customer=leased.customer, because=why)
    async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
        next_try = await leases.failed(fleet, leased, why)
    if puts_off and next_try is not None:
        try:
            async with open_fleet(database, SYSTEM, ORIGIN) as fleet:
                await leases.put_off(fleet, leased, next_try)
        except DBAPIError as error:  # a tenant that is busy: the next try does it
            log.warning("what ends meanwhile was not put off", customer=leased.customer, exc_info=error)
    return Counter(failed=1)
