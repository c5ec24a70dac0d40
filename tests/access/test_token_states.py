"""How a token stands is one judgement: the gate's own, shown with its reason in every list."""

import re
from typing import Any

import pytest

from factories import Callers, Tenant, a_tenant
from rollcall.access.models import Token
from rollcall.access.token_states import TokenState, judgement
from rollcall.db import Connection
from rollcall.functions import qualified
from rollcall.settings import migrations_folder

SCRIPTS = migrations_folder() / "versions" / "2026_11_29_token_state"
BEFORE = re.compile(r"FUNCTION gate\(.*?SELECT (CASE.*?END),\n\s+t\.label", re.DOTALL)
STATE = "fn.judge_rows(t, n, p, o, false)"
SCOPED = f"CASE WHEN fn.may_use((t).scopes, p_needs) THEN {STATE} ELSE fn.without_scope({STATE}) END"
NOW = f"fn.verdict_on({SCOPED}, p_needs)"

COMBINATIONS = """
WITH given AS (
    SELECT jsonb_populate_record(NULL::tokens, jsonb_build_object(
               'revoked_at', CASE WHEN because <> 'not' THEN now() END,
               'revoked_because', nullif(nullif(because, 'not'), 'unsaid'),
               'expires_at', now() + nullif(expires, 'never')::interval, 'scopes', scopes, 'epoch', 1,
               'replaced_by', CASE WHEN replaced THEN gen_random_uuid() END,
               'handed_over_at', CASE WHEN handed_over THEN now() END,
               'owner_id', CASE WHEN owner <> 'nobody' THEN gen_random_uuid() END)) AS t,
           jsonb_populate_record(NULL::tenants, jsonb_build_object(
               'status', status, 'paused_until', now() + nullif(paused, 'never')::interval,
               'lapsed_at', CASE WHEN grace THEN now() END,
               'offboarding_from', CASE WHEN grace THEN now() + interval '1 h' END)) AS n,
           jsonb_populate_record(NULL::plans, jsonb_build_object('features', features)) AS p,
           CASE WHEN owner NOT IN ('nobody', 'gone') THEN jsonb_populate_record(NULL::accounts, jsonb_build_object(
               'active', owner <> 'inactive', 'is_admin', owner <> 'demoted',
               'epoch', CASE WHEN owner = 'back' THEN 3 ELSE 1 END)) END AS o,
           p_needs, paused, grace
      FROM unnest(ARRAY['not', 'revoked', 'owner_left', 'unsaid']) because,
           unnest(ARRAY['never', '-1 s', '1 h']) expires,
           unnest(ARRAY['nobody', 'gone', 'admin', 'inactive', 'demoted', 'back']) owner,
           unnest(ARRAY['active', 'suspended']) status,
           (VALUES ('["scim"]'::jsonb), ('["sso"]')) f(features),
           (VALUES ('["scim"]'::jsonb), ('["scim:read"]'), ('["scim", "scim:read"]')) s(scopes),
           unnest(ARRAY[true, false]) replaced,
           unnest(ARRAY[true, false]) handed_over,
           unnest(ARRAY['never', '-1 s', '1 h']) paused,
           unnest(ARRAY[true, false]) grace,
           unnest(ARRAY['read', 'write']) p_needs)
SELECT count(*) AS combinations, count(DISTINCT before) AS verdicts,
       count(*) FILTER (WHERE before IS DISTINCT FROM now AND paused <> '1 h' AND NOT grace) AS differ,
       count(*) FILTER (WHERE plainly AND state <> 'live') AS falsely,
       count(*) FILTER (WHERE plainly) AS plainly, count(*) FILTER (WHERE state = 'live') AS live
  FROM (SELECT {before} AS before, {now} AS now, {state} AS state, paused, grace,
               fn.is_plainly_live(t, n, p, o) AS plainly FROM given) judged
"""


def verdict_before() -> str:
    """The expression of the gate's verdict as it once was written out, with its rows as columns of a query."""
    found = BEFORE.search((SCRIPTS / "undo.sql").read_text())
    assert found is not None
    return re.sub(r"\b([tnpo])\.(?=[a-z_])", r"(\1).", found[1])


async def test_the_gate_judges_as_before(owner: Connection) -> None:
    """The gate's verdict is what it was when it was written out, in every combination of facts it looks at.

    Whoever is plainly live is live.
    """
    row = await owner.fetchrow(qualified(COMBINATIONS.format(before=verdict_before(), now=NOW, state=STATE)))
    assert row is not None
    assert (row["combinations"], row["verdicts"], row["differ"]) == (41472, 7, 0)
    assert row["falsely"] == 0
    assert 0 < row["plainly"] <= row["live"]


async def listed(acme: Tenant, token_id: str) -> dict[str, Any]:
    """A token as ``/v1`` lists it."""
    answer: Any = (await acme.callers.operator.get(f"{acme.v1}/tokens")).json()["data"]
    return next(token for token in answer if token["id"] == token_id)


async def act(acme: Tenant, address: str, **body: Any) -> None:
    answer = await acme.callers.operator.post(f"{acme.v1}/{address}", json=body or None)
    assert answer.status_code in (200, 201), answer.text


async def demoted(acme: Tenant) -> None:
    await act(acme, f"people/{acme.admin['id']}/demote")


async def deactivated(acme: Tenant) -> None:
    await act(acme, f"people/{acme.admin['id']}/deactivate")


async def out_and_back(acme: Tenant) -> None:
    await deactivated(acme)
    await act(acme, f"people/{acme.admin['id']}/reactivate")
    await act(acme, f"people/{acme.admin['id']}/appoint")


async def suspended(acme: Tenant) -> None:
    await act(acme, "suspend")


async def on_free(acme: Tenant) -> None:
    answer = await acme.callers.operator.patch(acme.v1, json={"plan": "free"})
    assert answer.status_code == 200, answer.text


async def closed(acme: Tenant) -> None:
    await on_free(acme)
    await act(acme, "lapse/close")


async def revoked(acme: Tenant) -> None:
    await act(acme, f"tokens/{acme.token['id']}/revoke")


async def replaced(acme: Tenant) -> None:
    await act(acme, f"tokens/{acme.token['id']}/rotate", overlap_seconds=0)


async def rotated(acme: Tenant) -> None:
    await act(acme, f"tokens/{acme.token['id']}/rotate", overlap_seconds=600)


@pytest.mark.parametrize(
    ("happens", "state", "reason", "remedy", "status"),
    [
        (demoted, "owner_not_admin", "no longer an admin", "Make the owner an admin again", 401),
        (deactivated, "owner_inactive", "not active", "Issue a new token", 401),
        (out_and_back, "owner_inactive", "at some time", "does not come back", 401),
        (suspended, "suspended", "suspended", "Resume the tenant", 403),
        (on_free, "takes_only", "no longer includes SCIM", "a plan that includes SCIM", 200),
        (closed, "plan", "does not include SCIM", "a plan that includes SCIM", 403),
        (revoked, "revoked", "was revoked at 20", "Issue a new token", 401),
        (replaced, "expired", "the overlap ended at 20", "Put the new token", 401),
        (rotated, "rotated", "works until 20", "before then", 200),
    ],
)
async def test_lists_say_what_the_gate_does(
    callers: Callers, happens: Any, state: str, reason: str, remedy: str, status: int
) -> None:
    """A token that the gate refuses is not live in the list, which says why and what to do about it."""
    acme = await a_tenant(callers)
    issued = (acme.token["state"], acme.token["reason"], acme.token["remedy"])
    assert issued == ("live", None, None)
    await happens(acme)
    shown = await listed(acme, acme.token["id"])
    assert shown["state"] == state
    assert reason in shown["reason"]
    assert remedy in shown["remedy"]
    assert (await acme.scim.get("/Users")).status_code == status


@pytest.mark.parametrize("state", TokenState)
def test_every_state_has_words(state: TokenState) -> None:
    """Whatever keeps a token from working has a reason and a remedy, and so has one that will soon stop."""
    stands = judgement(Token(state=state.value))
    assert (stands.reason is None) == (stands.remedy is None) == (state is TokenState.LIVE)
