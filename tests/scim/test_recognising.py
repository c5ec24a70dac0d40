"""Recognising providers: by what they call themselves, ask in a row, and send otherwise than the standard."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollcall.scim.providers import PROFILES
from rollcall.scim.recognising import QUERIES, Query, Seen, agent_mark, query_mark, recognise, shape_mark
from rollcall.scim.values import Deviation

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OKTA = "Okta SCIM Client 1.0.0"


def seen(mark: str, *, ago: float = 0) -> Seen:
    """A mark that was met once, so many seconds ago."""
    at = NOW - timedelta(seconds=ago)
    return Seen(mark, at, at, 1)


def who(*marks: Seen) -> str | None:
    """Whose marks these are beyond doubt."""
    return recognise(marks, NOW).provider


@pytest.mark.parametrize(
    ("agent", "provider"),
    [
        (OKTA, "okta"),
        ("okta scim client 2", "okta"),
        ("Microsoft Azure AD SCIM provisioning 1.0.0", "entra"),
        ("EntraProvisioning", "entra"),
        ("OneLogin/1.0", "onelogin"),
        ("JumpCloud-SCIM", "jumpcloud"),
        ("python-httpx/0.28.1", None),
        ("PostmanRuntime/7.44", None),
        ("azure-to-okta bridge", None),
        ("", None),
    ],
)
def test_names(agent: str, provider: str | None) -> None:
    """A provider that says its name is recognised by that alone; one that says two names is not."""
    assert who(seen(agent_mark(agent))) == provider


def test_a_long_name_is_cut() -> None:
    """Of a User-Agent its beginning is kept."""
    assert len(agent_mark("x" * 5000)) < 120


@pytest.mark.parametrize(
    ("parameters", "of_groups", "mark"),
    [
        ({"startIndex": "1", "count": "2"}, False, Query.TWO_PEOPLE),
        ({"startIndex": "1", "count": "2"}, True, None),
        ({"startIndex": "1", "count": "100"}, True, Query.HUNDRED_GROUPS),
        ({"startIndex": "1", "count": "100"}, False, None),
        ({"startIndex": "1", "count": "2", "sortBy": "id"}, False, None),
        ({"filter": 'userName eq "5f0c3c4e-6b38-4a40-9a7e-1c2d7b8e4f11"'}, False, Query.RANDOM_NAME),
        ({"filter": 'userName eq "ada@example.com"'}, False, None),
        ({"filter": 'displayName eq "A"', "excludedAttributes": "members"}, True, Query.GROUP_WITHOUT_MEMBERS),
        ({"filter": 'displayName eq "A"'}, True, None),
        ({}, False, None),
    ],
)
def test_questions(parameters: dict[str, str], of_groups: bool, mark: str | None) -> None:
    """A question that is asked by one provider alone leaves a mark; nearly all leave none."""
    assert query_mark(parameters, of_groups=of_groups) == mark


@pytest.mark.parametrize(
    ("deviation", "mark"),
    [("capitalised-op", "capitalised-op"), ("path-in-key:name.givenName", "path-in-key"), ("no-path", None)],
)
def test_shapes(deviation: str, mark: str | None) -> None:
    """A deviation that only one provider sends is a mark, whatever attribute it is of."""
    assert shape_mark(deviation) == mark


def test_one_deviation_is_not_enough() -> None:
    """A single mark that is no name proposes nobody; two of one provider do."""
    assert who(seen(Deviation.CAPITALISED_OP)) is None
    assert who(seen(Deviation.CAPITALISED_OP), seen(Query.RANDOM_NAME)) == "entra"


def test_an_order() -> None:
    """Okta's two questions, asked in a row as provisioning is switched on, recognise it; out of order they don't."""
    assert who(seen(Query.TWO_PEOPLE, ago=2), seen(Query.HUNDRED_GROUPS, ago=1)) == "okta"
    assert who(seen(Query.TWO_PEOPLE, ago=1), seen(Query.HUNDRED_GROUPS, ago=2)) is None
    assert who(seen(Query.TWO_PEOPLE, ago=300), seen(Query.HUNDRED_GROUPS, ago=1)) is None
    assert who(seen(Query.HUNDRED_GROUPS)) is None


def test_two_providers_are_nobody() -> None:
    """As soon as anything speaks for another provider too, nobody is recognised, however much speaks for the one."""
    found = recognise([seen(agent_mark(OKTA)), seen(Query.TWO_PEOPLE), seen(Deviation.EXTRA_MEMBER)], NOW)
    assert found.provider is None
    assert found.candidates == ("entra", "okta")


def test_what_is_old_counts_for_nothing() -> None:
    """A mark that was not met for 30 days says nothing: a tenant may change its provider."""
    month = timedelta(days=30).total_seconds()
    assert who(seen(agent_mark(OKTA), ago=month), seen(agent_mark("OneLogin"))) == "onelogin"
    assert who(seen(agent_mark(OKTA), ago=month - 1), seen(agent_mark("OneLogin"))) is None


def test_every_mark_is_a_provider_s() -> None:
    """Whatever is recognised is the profile of a provider: never `strict`, and never `default`."""
    providers = {line.provider for line in QUERIES.values()}
    marks: list[Any] = [each for each in Deviation if shape_mark(each)]
    providers |= {each.provider for each in recognise(map(seen, marks), NOW).findings if each.provider}
    assert providers <= set(PROFILES) - {"default", "strict"}
