"""Celery's tasks: each opens its work, calls a domain function, and is done. All of them may run twice."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rollcall import metrics
from rollcall.alerts import judging, mailing, mailing_codes
from rollcall.billing import asking
from rollcall.db import DatabaseError
from rollcall.directory import role_changes
from rollcall.events import delivering, departure_receipts
from rollcall.journal import keeping, outbox
from rollcall.journal.keeping import Part
from rollcall.provisioning import profile_taking
from rollcall.tenancy import seats, usage
from rollcall.work import SYSTEM, RequestOrigin, TenantRef, open_fleet
from rollcall.worker import housekeeping
from rollcall.worker.base import Task, TryAgain

log = structlog.get_logger(__name__)

_AWAY = (SQLAlchemyError, OSError, *DatabaseError)
"""What is raised while the database is away, or when it refuses."""

SETTLE_DEPARTURES = "rollcall.settle_departures"
DELIVER = "rollcall.deliver"
BRING_ROLES = "rollcall.bring_roles"
KEEP_HOUSE = "rollcall.keep_house"
TAKE_PROFILES = "rollcall.take_profiles"
LOOK_AT_SEATS = "rollcall.look_at_seats"
JUDGE_ALERTS = "rollcall.judge_alerts"
SEND_MAIL = "rollcall.send_mail"
MAIL_CODES = "rollcall.mail_codes"
ASK_ABOUT_PAYMENT = "rollcall.ask_about_payment"

LISTENERS = {"user.deactivated": SETTLE_DEPARTURES}
"""Which task hears of which event; what nobody listens to is done as soon as it has been fanned out."""


def register(app: Any) -> None:
    """Make the tasks known to *app*."""
    app.task(base=Task, bind=True, name=SETTLE_DEPARTURES)(settle_departures)
    app.task(base=Task, bind=True, name=DELIVER)(deliver)
    app.task(base=Task, bind=True, name=BRING_ROLES)(bring_roles)
    app.task(base=Task, bind=True, name=KEEP_HOUSE, seconds=1800.0, time_limit=1860.0)(keep_house)
    app.task(base=Task, bind=True, name=TAKE_PROFILES)(take_profiles)
    app.task(base=Task, bind=True, name=LOOK_AT_SEATS)(look_at_seats)
    app.task(base=Task, bind=True, name=SEND_MAIL, seconds=120.0, time_limit=150.0)(send_mail)
    app.task(base=Task, bind=True, name=MAIL_CODES, seconds=60.0, time_limit=90.0)(mail_codes)
    app.task(base=Task, bind=True, name=ASK_ABOUT_PAYMENT)(ask_about_payment)
    app.task(base=Task, bind=True, name=JUDGE_ALERTS, seconds=300.0, time_limit=330.0)(judge_alerts)


async def settle_departures(task: Task, tenant_id: str, departures: Sequence[tuple[str, str]]) -> None:
    """Purge what departed people of a tenant left, and write their receipts.

    Each departure is given by its message and the request it came from. They are settled together; when that does not
    work, each by itself, so that one that can't be settled holds up no other.

    Raises:
        TryAgain: some are not settled; they are due again later.
    """
    tenant = TenantRef(UUID(tenant_id), "")
    try:
        await _settle(task, tenant, departures)
    except Exception:
        log.warning("departures not settled together; each is tried by itself", exc_info=True)
        try:
            left = [each for each in departures if not await _settle_alone(task, tenant, each)]
        except _AWAY as error:  # then the leases run out, and the relay hands the messages out again
            msg = "departures not settled"
            raise TryAgain(msg) from error
        if left:
            msg = f"{len(left)} of {len(departures)} departures not settled"
            raise TryAgain(msg) from None


async def _settle(task: Task, tenant: TenantRef, departures: Sequence[tuple[str, str]]) -> None:
    messages = [UUID(message) for message, _ in departures]
    async with task.work(tenant, request_id=departures[-1][1]) as work:
        settled = {str(each) for each in await departure_receipts.settle(work, messages, task.runtime.signing)}
    for message, request_id in departures:
        said = "departure settled" if message in settled else "departure had been settled before"
        log.info(said, request_id=request_id, message_id=message)


async def _settle_alone(task: Task, tenant: TenantRef, departure: tuple[str, str]) -> bool:
    """Settle one departure, or write down why it was not; returns whether it was."""
    message, request_id = departure
    try:
        await _settle(task, tenant, [departure])
    except Exception as error:
        log.warning(
            "departure not settled; it will be retried", request_id=request_id, message_id=message, exc_info=True
        )
        async with task.work(tenant, request_id=request_id) as work:
            await outbox.fail(work, UUID(message), f"{type(error).__name__}: {error}")
        return False
    return True


async def deliver(task: Task, owner_id: str, destination_id: str) -> None:
    """Deliver what is due for one destination.

    Raises:
        TryAgain: the database is away; what was claimed is due again when its claim runs out.
    """
    structlog.contextvars.bind_contextvars(destination_id=destination_id)
    try:
        context = await task.runtime.delivering()
        told = asdict(await delivering.deliver(context, UUID(owner_id), UUID(destination_id)))
    except _AWAY as error:
        msg = "not delivered"
        raise TryAgain(msg) from error
    for outcome, number in told.items():
        metrics.figures().deliveries.labels(outcome).inc(number)
    log.info("delivered", **told)


async def bring_roles(task: Task, tenant_id: str, request_id: str) -> None:
    """Bring a tenant's large change of roles on for a while; the relay hands it out again until it is over.

    Raises:
        TryAgain: the database is away or too busy; what has been brought stands, the rest is due when the lease ends.
    """
    tenant = TenantRef(UUID(tenant_id), "")
    try:
        database = await task.runtime.database()
        batches = await role_changes.go_on(database, tenant, request_id)
        async with open_fleet(database, SYSTEM, RequestOrigin(request_id=request_id)) as fleet:
            await role_changes.release(fleet, tenant.id)
    except _AWAY as error:
        msg = "a change of roles has not been brought to everybody"
        raise TryAgain(msg) from error
    log.info("roles brought", request_id=request_id, batches=batches)


async def keep_house(task: Task) -> None:
    """Do what is due regularly, each part of it unless somebody else does it.

    Raises:
        TryAgain: some parts failed; the others are done, and all are tried again within the hour.
    """
    runtime = task.runtime
    failed = await housekeeping.keep(await runtime.database(), runtime.signing, runtime.settings.audit_archive)
    if failed:
        msg = f"the house is not kept: {', '.join(failed)}"
        raise TryAgain(msg)


async def take_profiles(task: Task) -> None:
    """Take the profiles that wait for an hour in which their tenants' providers change nothing."""
    taken = await profile_taking.look_at((await task.runtime.database()).pool)
    log.info("providers looked at", profiles_taken=len(taken))


async def look_at_seats(task: Task) -> None:
    """Note who has no seat left or more people than seats, who has room again, and how many are active.

    Raises:
        TryAgain: the database is away; nothing is lost, for what is noted is what is so then.
    """
    try:
        async with open_fleet(
            await task.runtime.database(), SYSTEM, RequestOrigin(request_id="look at seats")
        ) as fleet:
            changed = await seats.look(fleet)
            counted = await usage.note(fleet, fleet.now)
    except _AWAY as error:
        msg = "seats were not looked at"
        raise TryAgain(msg) from error
    log.info("seats looked at", tenants_changed=changed, numbers_changed=counted)


async def judge_alerts(task: Task) -> None:
    """Open the alerts that are due and close those that are over, unless somebody else does it."""
    database = await task.runtime.database()
    did = await keeping.keep(database, Part.ALERTS, partial(judging.judge, database))
    if did is not None:
        log.info("alerts judged", **did)


async def send_mail(task: Task) -> None:
    """Write to admins what is due, where this installation has a mail server."""
    post = mailing.Post.of(task.runtime.settings)
    if post is not None:
        sent = await mailing.send(await task.runtime.database(), post)
        log.info("mail sent", mails=sent)


async def mail_codes(task: Task) -> None:
    """Mail the codes to sign in that were asked for, where this installation has a mail server."""
    settings = task.runtime.settings
    post = mailing.Post.of(settings)
    if post is not None:
        product = settings.product_name or settings.passkey_rp_name
        sent = await mailing_codes.send(await task.runtime.database(), post, product)
        log.info("codes mailed", mails=sent)


async def ask_about_payment(task: Task) -> None:
    """Ask payment providers about customers that are due, and bring their answers to tenants.

    Raises:
        TryAgain: the database is away; who was leased is due again when the lease runs out.
    """
    try:
        database = await task.runtime.database()
        done = await asking.ask_due(database, asking.providers(task.runtime.settings, database))
    except _AWAY as error:
        msg = "payment providers were not asked"
        raise TryAgain(msg) from error
    for outcome in ("asked", "failed", "overtaken"):
        metrics.figures().payment.labels(outcome).inc(done[outcome])
    log.info("payment looked after", **done)
