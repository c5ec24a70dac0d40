"""Operations that read: introspection, one person, look-ups, filters, pages; and the floor they are held against."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import orjson

from benchmarks.dataset import SAMPLE, Dataset, Person, Tenant
from benchmarks.load import request
from benchmarks.operations import FORM, SCIM, Operation, Target, bearer, shuffled
from rollcall.crypto import digest
from rollcall.provisioning.listing import CURSOR_LIFE
from rollcall.scim.cursors import Position, seal
from rollcall.scim.resources import USERS
from rollcall.scim.search import Search

PAGE = 100
"""People on a page."""


def floor_read(dataset: Dataset, name: str, folder: str) -> Operation:
    requests = [request("GET", f"{folder}/{thing}", {}) for thing in dataset.things[:SAMPLE]]
    return Operation(name, Target.FLOOR, lambda _most: requests, holds=b"Okonkwo")


def introspection(dataset: Dataset) -> Operation:
    headers = {"Authorization": f"Bearer {dataset.application_key}", "Content-Type": FORM}
    requests = shuffled(
        request("POST", "/oauth/introspect", headers, f"token={person.session}".encode())
        for tenant in dataset.tenants
        for person in tenant.sample
    )
    return Operation("introspection", Target.ROLLCALL, lambda _most: requests, holds=b'"active":true')


def read_one(name: str, tenants: Sequence[Tenant]) -> Operation:
    requests = shuffled(
        request("GET", f"/scim/v2/Users/{person.id}", bearer(tenant)) for tenant in tenants for person in tenant.sample
    )
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"userName"')


def page(name: str, tenants: Sequence[Tenant], last_start: int) -> Operation:
    lot = random.Random(7643)
    requests = [
        request("GET", f"/scim/v2/Users?startIndex={1 + lot.randrange(last_start)}&count={PAGE}", bearer(tenant))
        for tenant in tenants
        for _ in range(-(-500 // len(tenants)))
    ]
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"totalResults":')


def look_up(name: str, tenants: Sequence[Tenant], meant: Callable[[Person], str]) -> Operation:
    """One person, found by the filter that *meant* writes."""
    requests = shuffled(
        request("GET", "/scim/v2/Users?filter=" + quote(meant(person)), bearer(tenant))
        for tenant in tenants
        for person in tenant.sample
    )
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"totalResults":1,')


def search(name: str, tenants: Sequence[Tenant]) -> Operation:
    """The look-up by userName, asked as providers do that keep names out of addresses (RFC 7644 §3.4.3)."""
    schema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
    requests = shuffled(
        request(
            "POST",
            "/scim/v2/Users/.search",
            bearer(tenant) | {"Content-Type": SCIM},
            orjson.dumps({"schemas": [schema], "filter": by_user_name(person), "count": 1}),
        )
        for tenant in tenants
        for person in tenant.sample
    )
    return Operation(name, Target.ROLLCALL, lambda _most: requests, holds=b'"totalResults":1,')


def page_by_cursor(name: str, tenants: Sequence[Tenant]) -> Operation:
    """A page that goes on after somebody in the middle half of a list."""

    def write(_most: int) -> list[bytes]:
        until = datetime.now(UTC) + CURSOR_LIFE - timedelta(seconds=1)
        return shuffled(
            request("GET", f"/scim/v2/Users?count={PAGE}&cursor={_after(tenant, person, until)}", bearer(tenant))
            for tenant in tenants
            for person in _middle(tenant)
        )

    return Operation(name, Target.ROLLCALL, write, holds=b'"totalResults":')


def _after(tenant: Tenant, person: Person, until: datetime) -> str:
    position = Position(Search(USERS).fingerprint, (str(person.id),))
    return seal(digest(tenant.token), tenant.id, position, until)


def _middle(tenant: Tenant) -> Sequence[Person]:
    """The middle half of those who are asked about, in the order of the list."""
    ordered = sorted(tenant.sample, key=lambda person: person.id)
    quarter = len(ordered) // 4
    return ordered[quarter : len(ordered) - quarter]


def by_user_name(person: Person) -> str:
    """The filter most providers look somebody up by."""
    return f'userName eq "{person.user_name}"'


def by_external_id(person: Person) -> str:
    """The filter of a provider that goes by its own id."""
    return f'externalId eq "{person.external_id}"'


def by_email(person: Person) -> str:
    """The filter of a provider whose unique identifier is the address."""
    return f'emails.value eq "{person.user_name}"'


def by_both(person: Person) -> str:
    """A filter with two conditions."""
    return f'userName eq "{person.user_name}" and active eq true'
