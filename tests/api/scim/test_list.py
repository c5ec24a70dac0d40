"""GET /Users: pages, look-ups and filters; and the same asked in a body."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from api.expect import done, names, refused
from factories import USER, Callers, Tenant, a_tenant
from rollcall.provisioning.limits import RateLimiter

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


async def look_up(tenant: Tenant, text: str, **parameters: Any) -> list[str]:
    """The userNames that a filter finds."""
    answer = await tenant.scim.get("/Users", params={"filter": text, **parameters})
    found = names(answer)
    if not parameters:
        assert answer.json()["totalResults"] == len(found)
    return found


@pytest.fixture
async def five(acme: Tenant) -> Tenant:
    """A tenant with five people: ada, its admin, and p1 to p4."""
    for number in range(1, 5):
        await acme.person(f"p{number}")
    return acme


@pytest.mark.parametrize(
    ("parameters", "start_index", "found"),
    [
        ({}, 1, ["ada", "p1", "p2", "p3", "p4"]),
        ({"count": 2}, 1, ["ada", "p1"]),
        ({"startIndex": 3, "count": 2}, 3, ["p2", "p3"]),
        ({"startIndex": 5}, 5, ["p4"]),
        ({"startIndex": 6}, 6, []),
        ({"startIndex": 99999999999999999999}, None, []),
        ({"startIndex": 0, "count": 1}, 1, ["ada"]),
        ({"startIndex": -7, "count": 1}, 1, ["ada"]),
        ({"count": 0}, 1, []),
        ({"count": -1}, 1, []),
        ({"startindex": 2, "COUNT": 1}, 2, ["p1"]),
        ({"sortBy": "userName", "sortOrder": "descending", "count": 1}, 1, ["p4"]),
    ],
)
async def test_pages(five: Tenant, parameters: dict[str, Any], start_index: int | None, found: list[str]) -> None:
    """Pages come in the order of creation, with the bounds of RFC 7644 §3.4.2.4 and the whole number of results."""
    answer = await five.scim.get("/Users", params=parameters)

    assert [name.partition("@")[0] for name in names(answer)] == found
    assert answer.json()["totalResults"] == 5
    assert start_index is None or answer.json()["startIndex"] == start_index


async def test_a_page_is_never_larger_than_announced(acme: Tenant) -> None:
    """No page has more people than ServiceProviderConfig announces, whatever is asked for."""
    announced = done(await acme.scim.get("/ServiceProviderConfig"))["filter"]["maxResults"]
    for number in range(announced + 1):
        await acme.person(f"p{number}")

    page = done(await acme.scim.get("/Users", params={"count": 5000}))

    assert (page["itemsPerPage"], page["totalResults"]) == (announced, announced + 2)


@pytest.mark.parametrize("name", ["startIndex", "count"])
@pytest.mark.parametrize("value", ["abc", "", "1.5", "1_0", "0x1", "\N{ARABIC-INDIC DIGIT ONE}", "1" * 5000])
async def test_what_is_no_number(acme: Tenant, name: str, value: str) -> None:
    """A startIndex or count that is no whole number is refused by its name."""
    refused(await acme.scim.get("/Users", params={name: value}), 400, "invalidValue", name)


@pytest.fixture
async def maria(acme: Tenant) -> Tenant:
    """A tenant with one maria among others."""
    await acme.person(
        "Zoë.Maria@Acme.test", externalId="Ext-1", displayName="Maria", emails=[{"value": "Maria@Straße.test"}]
    )
    await acme.person("pedro", externalId="ext-1", active=False, emails=[{"value": "pedro@acme.test"}])
    return acme


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "Zoë.Maria@Acme.test"',
        'userName eq "ZOË.maria@ACME.TEST"',
        'userName eq "Zoe\N{COMBINING DIAERESIS}.maria@acme.test"',
        'USERNAME EQ "zoë.maria@acme.test"',
        f'{USER}:userName eq "zoë.maria@acme.test"',
        f'{USER.upper()}:USERNAME eq "zoë.maria@acme.test"',
        'userName eq "zo\\u00eb.maria@acme.test"',
        '(userName eq "zoë.maria@acme.test")',
        'externalId eq "Ext-1"',
        'emails.value eq "maria@strasse.test"',
        'emails eq "MARIA@straße.test"',
        'email eq "maria@straße.test"',
        f'{USER}:emails.value eq "maria@straße.test"',
        'userName eq "zoë.maria@acme.test" and active eq true',
        'active eq true and externalId eq "Ext-1"',
        'active eq "True" and emails.value eq "maria@straße.test"',
        'externalId eq "Ext-1" and (userName eq "zoë.maria@acme.test" and active eq true)',
    ],
)
async def test_maria_is_found(maria: Tenant, text: str) -> None:
    """Names and values are found in any case and composition; externalId as it was written."""
    assert await look_up(maria, text) == ["Zoë.Maria@Acme.test"]


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "zoe.maria@acme.test"',
        'userName eq ""',
        'userName eq "%"',
        'userName eq "Zoë_Maria@Acme.test"',
        'externalId eq "EXT-1"',
        'id eq "zoë.maria@acme.test"',
        'id eq "00000000-0000-0000-0000-000000000000"',
        'emails.value eq "maria"',
        'userName eq "zoë.maria@acme.test" and active eq false',
        'userName eq "\' OR 1=1 --"',
    ],
)
async def test_nobody_is_found(maria: Tenant, text: str) -> None:
    """What nobody has finds nobody, and that is a page without people, not an error."""
    answer = await maria.scim.get("/Users", params={"filter": text})

    assert names(answer) == []
    assert answer.json()["totalResults"] == 0


async def test_find_by_id(acme: Tenant) -> None:
    """An id finds its person when it is spelled as it was given."""
    person = await acme.person("maria")

    assert await look_up(acme, f'id eq "{person["id"]}"') == ["maria"]
    assert await look_up(acme, f'id eq "{person["id"]}" and active eq true') == ["maria"]
    plain = person["id"].replace("-", "")
    for spelled in (person["id"].upper(), plain, f"urn:{plain}", f"----{plain}", f"{{{person['id']}}}"):
        assert await look_up(acme, f'id eq "{spelled}"') == []
        assert await look_up(acme, f'id eq "{spelled}" and active eq true') == []


async def test_several_are_found(acme: Tenant) -> None:
    """An address that several people have finds all of them, page by page."""
    for number in range(5):
        await acme.person(f"p{number}", externalId="same", emails=[{"value": "office@acme.test"}] * 2)

    for text in (
        'emails.value eq "office@acme.test"',
        'externalId eq "same"',
        'externalId eq "same" and active eq true',
    ):
        assert await look_up(acme, text) == ["p0", "p1", "p2", "p3", "p4"]
        assert await look_up(acme, text, startIndex=4, count=5) == ["p3", "p4"]
        counted = done(await acme.scim.get("/Users", params={"filter": text, "count": 0}))
        beyond = done(await acme.scim.get("/Users", params={"filter": text, "startIndex": 9}))
        assert [page["totalResults"] for page in (counted, beyond)] == [5, 5]
        assert [page["Resources"] for page in (counted, beyond)] == [[], []]


async def test_inactive_people(acme: Tenant) -> None:
    """Inactive people are listed and found like anybody; `active` tells them apart."""
    await acme.person("gone", active=False)

    assert await look_up(acme, "active eq false") == ["gone"]
    assert await look_up(acme, 'userName eq "gone"') == ["gone"]
    assert done(await acme.scim.get("/Users"))["totalResults"] == 2


async def test_filters_follow_changes(acme: Tenant) -> None:
    """A look-up finds what a person has now, and no longer what they had."""
    person = await acme.person("old", externalId="old", emails=[{"value": "old@acme.test"}])
    body = {"userName": "new", "externalId": "new", "emails": [{"value": "new@acme.test"}]}

    done(await acme.scim.put(f"/Users/{person['id']}", json=body))

    for attribute, suffix in (("userName", ""), ("externalId", ""), ("emails.value", "@acme.test")):
        assert await look_up(acme, f'{attribute} eq "new{suffix}"') == ["new"]
        assert await look_up(acme, f'{attribute} eq "old{suffix}"') == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        'userName eq "open',
        'userName eq "a" and',
        'userName eq "a" userName eq "b"',
        'userName == "a"',
        "userName eq maria",
        '(userName eq "a"',
        'favouriteColour eq "red"',
        'emails.colour eq "red"',
        'urn:example:Nothing:userName eq "a"',
        'password eq "a"',
        'name eq "a"',
        'active eq "maybe"',
        "active eq 1",
        "userName eq 1",
        "userName eq true",
        'userName[type eq "a"]',
        'userName eq "a\x00"',
        'userName eq "\\ud800"',
        "(" * 60 + 'userName eq "a"' + ")" * 60,
        " and ".join(['userName eq "a"'] * 200),
        'userName eq "' + "a" * 5000 + '"',
    ],
)
async def test_filters_that_are_none(acme: Tenant, text: str) -> None:
    """A filter that can't be read, or names what nobody has, is 400 invalidFilter."""
    refused(await acme.scim.get("/Users", params={"filter": text}), 400, "invalidFilter")


async def test_refused_filter_is_audited(acme: Tenant) -> None:
    """A refused look-up stands in the audit with its reason."""
    await acme.scim.get("/Users", params={"filter": "nonsense"})

    entry = (await acme.audit(action="scim.users.list"))[0]
    assert (entry["outcome"], entry["status"]) == ("refused", 400)
    assert "filter" in entry["detail"]


async def search(tenant: Tenant, address: str, **members: Any) -> httpx.Response:
    """Ask in a body."""
    return await tenant.scim.post(address, json={"schemas": [SEARCH], **members})


@pytest.mark.parametrize("address", ["/.search", "/Users/.search"])
async def test_search_by_post(five: Tenant, address: str) -> None:
    """A search in a body finds what the same parameters find in the address (RFC 7644 §3.4.3)."""
    found = await search(five, address, filter='userName eq "p3"', attributes=["displayName", "userName"])
    page = await search(five, address, startIndex=2, count=2, excludedAttributes=["meta"])

    assert names(found) == ["p3"]
    assert set(found.json()["Resources"][0]) == {"id", "schemas", "userName"}
    assert names(page) == ["p1", "p2"]
    assert page.json()["totalResults"] == 5
    assert "meta" not in page.json()["Resources"][0]


@pytest.mark.parametrize(
    ("members", "scim_type", "saying"),
    [
        ({"filter": 7}, "invalidSyntax", "filter"),
        ({"filter": "nonsense"}, "invalidFilter", ""),
        ({"count": "2"}, "invalidSyntax", "count"),
        ({"startIndex": True}, "invalidSyntax", "startIndex"),
        ({"attributes": "userName"}, "invalidSyntax", "attributes"),
        ({"attributes": ["userName"], "excludedAttributes": ["name"]}, "invalidValue", ""),
    ],
)
async def test_searches_that_are_none(acme: Tenant, members: dict[str, Any], scim_type: str, saying: str) -> None:
    """A search message with a member of the wrong kind is refused by its name."""
    refused(await search(acme, "/Users/.search", **members), 400, scim_type, saying)


async def test_a_list_takes_one_permit(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a list is asked, it is one call: it takes one permit of the rate limit and leaves one audit entry."""
    wanted = {"filter": 'displayName eq "Tours"'}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/Users", {"params": {"filter": "displayName eq Tours"}}),
        ("POST", "/Users/.search", {"json": wanted}),
        ("POST", "/.search", {"json": wanted}),
        ("POST", "/.search", {"json": {}}),
    ]
    taken: list[UUID] = []
    wait_for: Any = RateLimiter.wait_for

    async def counting(self: RateLimiter, tenant_id: UUID, **limit: int) -> float:
        taken.append(tenant_id)
        return await wait_for(self, tenant_id, **limit)

    monkeypatch.setattr(RateLimiter, "wait_for", counting)
    for method, address, asked in ways:
        acme = await a_tenant(callers, profile="entra")
        taken.clear()
        done(await acme.scim.request(method, address, **asked))
        assert taken == [UUID(acme.id)], (address, asked)

        entries = await acme.audit()
        answered = [entry for entry in entries if entry["action"].startswith("scim.") and entry["status"] == 200]
        assert len(answered) == 1, (address, asked)


async def test_a_query_at_the_base_url(callers: Callers) -> None:
    """A GET with a filter at the base URL finds people and groups, as a POST to /.search does (RFC 7644 §3.4.2.1)."""
    acme = await a_tenant(callers)
    maria = await acme.person("maria@acme.test", displayName="Tour")
    group = (await acme.scim.post("/Groups", json={"displayName": "Tour"})).json()
    asked = {"filter": 'displayName eq "tour"', "attributes": "displayName", "count": "5"}
    for address in ("", "/"):
        found = await acme.scim.get(address, params=asked)
        assert found.status_code == 200, found.text
        assert [each["id"] for each in found.json()["Resources"]] == [maria["id"], group["id"]]
        assert set(found.json()["Resources"][0]) == {"schemas", "id", "displayName"}
    search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], **asked}
    posted = await acme.scim.post("/.search", json=search | {"attributes": ["displayName"], "count": 5})
    assert posted.json() == found.json()

    refused = await acme.scim.get("/", params={"filter": "nobody eq 1"})
    assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidFilter")
    async with callers.bearer("nonsense", path="/scim/v2") as stranger:
        assert (await stranger.get("/", params=asked)).status_code == 401
