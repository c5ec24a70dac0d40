"""``/v1/tenants/{tenant}/receipts``: the signed proofs of departures."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream
from pydantic import BaseModel, Field

from rollcall.api.requests import origin
from rollcall.api.v1.callers import AUDITORS, TenantWork, actor_of, tenant_named, tenant_work, uuid_of
from rollcall.api.v1.lists import Listing, Part
from rollcall.directory import people
from rollcall.errors import Conflict
from rollcall.proof import bundles, receipts
from rollcall.proof.bundles import Bundle, Maker
from rollcall.proof.models import Receipt
from rollcall.work import open_work


class ReceiptIncomplete(Conflict):
    """A destination has still to be told, so nothing is signed yet."""

    code = "receipt_incomplete"
    advice = "Ask again later; a destination is tried for three days at most."

    def __init__(self) -> None:
        super().__init__("This receipt is not complete yet: a destination has still to be told. Ask again later.")


class ReceiptView(BaseModel):
    """The proof of a departure: what was closed and when, and what became of each destination.

    ``statement`` says all of it, signed; it and ``destinations`` are there once the last destination is dealt with.
    """

    id: UUID
    person_id: UUID
    reason: str
    request_id: str
    transaction_id: str
    arrived_at: datetime
    closed_at: datetime
    closed: dict[str, Any]
    restricted: dict[str, Any] | None = Field(
        description="what goes on for what only takes away though its owner left, as the tenant has chosen"
    )
    settled_at: datetime
    purged: dict[str, Any]
    completed_at: datetime | None
    destinations: list[dict[str, Any]] | None
    statement: str | None


def receipt_view(receipt: Receipt) -> ReceiptView:
    """A receipt as it is shown."""
    return ReceiptView(
        id=receipt.id,
        person_id=receipt.account_id,
        reason=receipt.reason,
        request_id=receipt.request_id,
        transaction_id=receipt.transaction_id,
        arrived_at=receipt.arrived_at,
        closed_at=receipt.closed_at,
        closed=receipt.closed,
        restricted=receipt.restricted,
        settled_at=receipt.settled_at,
        purged=receipt.purged,
        completed_at=receipt.completed_at,
        destinations=receipt.destinations,
        statement=receipt.statement,
    )


Month = Annotated[str, QueryParameter(max_length=7, description="as 2026-11, by UTC; one that has begun")]

_OF_TENANT = {"work": tenant_work}
_ONE = "/tenants/{tenant:str}/receipts/{receipt:str}"


@get("/tenants/{tenant:str}/people/{person:str}/receipts", guards=[AUDITORS], dependencies=_OF_TENANT)
async def list_receipts(
    work: TenantWork, part: Part, person: FromPath[str], incomplete: FromQuery[bool] = False
) -> Listing[ReceiptView]:
    """The receipts of a person's departures, newest first."""
    found = await people.find(work, uuid_of(person, "person"))
    page = await receipts.page(
        work, account_id=found.account.id, incomplete=incomplete, limit=part.limit, cursor=part.cursor
    )
    return part.listing(page, receipt_view)


@get("/tenants/{tenant:str}/receipts", guards=[AUDITORS], dependencies=_OF_TENANT)
async def list_tenant_receipts(
    work: TenantWork, part: Part, incomplete: FromQuery[bool] = False
) -> Listing[ReceiptView]:
    """The tenant's receipts, newest first; with ``incomplete`` those that wait for a destination."""
    page = await receipts.page(work, incomplete=incomplete, limit=part.limit, cursor=part.cursor)
    return part.listing(page, receipt_view)


@get(_ONE, guards=[AUDITORS], dependencies=_OF_TENANT)
async def get_receipt(work: TenantWork, receipt: FromPath[str]) -> ReceiptView:
    """One receipt; ``rollcall receipts verify`` reads this answer."""
    return receipt_view(await receipts.find(work, uuid_of(receipt, "receipt")))


@get(f"{_ONE}/statement", guards=[AUDITORS], dependencies=_OF_TENANT, media_type="application/jose")
async def download_statement(work: TenantWork, receipt: FromPath[str]) -> Response[bytes]:
    """The signed statement alone, a compact JWS, as a file to keep."""
    found = await receipts.find(work, uuid_of(receipt, "receipt"))
    if found.statement is None:
        raise ReceiptIncomplete
    headers = {"Content-Disposition": f'attachment; filename="receipt-{found.id}.jws"'}
    return Response(found.statement.encode(), media_type="application/jose", headers=headers)


@get("/tenants/{tenant:str}/receipts/bundle", guards=[AUDITORS], media_type="application/zip")
async def download_bundle(request: Request[Any, Any, Any], tenant: FromPath[str], month: Month) -> Stream:
    """The departures of a month (2026-11) as a signed ZIP for auditors, sent while it is made.

    It has the signed receipts, the public keys, a page that explains them, and a signed manifest;
    ``rollcall receipts verify`` checks all of it. A key that ends meanwhile ends it too: what breaks off is no bundle.
    """
    ref, state = await tenant_named(request, tenant), request.app.state
    actor, where, wanted = actor_of(request), origin(request), bundles.wanted_month(month, datetime.now(UTC))
    maker = Maker(
        lambda: open_work(state.database, ref, actor, where), state.database.pool, state.sealer, state.public_url
    )
    headers = {"Content-Disposition": f'attachment; filename="{bundles.file_name(ref.slug, wanted)}"'}
    return Stream(Bundle(maker, wanted).pieces(), media_type="application/zip", headers=headers)


router = Router(
    "/",
    route_handlers=[list_receipts, list_tenant_receipts, get_receipt, download_statement, download_bundle],
    tags=["receipts"],
)
