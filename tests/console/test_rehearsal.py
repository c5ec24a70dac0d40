"""The rehearsal on the set-up's pages: each call, its answer and its meaning, for admins and for nobody else."""

import asyncio
import html
import re
from typing import Any

import httpx
import pytest
from babel.messages.pofile import read_po
from litestar import Litestar

from console.conftest import Browser, signed_in
from console.operating import at_work
from console.pseudo import TEMPLATE
from console.test_operator_views import look
from console.test_portal import a_link, entered
from factories import DART_RULE, Callers, Tenant, a_tenant
from rollcall.console.setup_guides import GUIDES
from rollcall.db import Connection
from rollcall.provisioning.rehearsals.lines import Line
from rollcall.provisioning.rehearsals.providers import DIALECTS, Cast, conversation
from rollcall.tenancy.operators import OperatorRole


def address(provider: str = "okta") -> str:
    """Where a provider is rehearsed."""
    return f"/console/setup/{provider}/rehearse"


async def rehearsed(browser: Browser, provider: str = "okta", names: str = "") -> str:
    """The page that a rehearsal answers, as it is read."""
    await browser.open(address(provider))
    answer = await browser.send(address(provider), names=names)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def told(page: str) -> dict[str, tuple[str, str]]:
    """Each step: its tone, and what it says."""
    found = re.findall(r'<li class="(\w+)">.*?<strong>(.+?)</strong>.*?<p>(.*?)</p>', page, re.DOTALL)
    return {title: (tone, said) for tone, title, said in found}


def test_every_guide_has_a_conversation() -> None:
    """Whoever can be set up can be rehearsed."""
    assert [guide.key for guide in GUIDES] == [*DIALECTS]


@pytest.mark.parametrize("provider", DIALECTS)
@pytest.mark.parametrize("by_groups", [True, False])
def test_every_line_can_be_translated(provider: str, by_groups: bool) -> None:
    """What a provider does, and what its chapters are called, stands in the console's catalogue."""
    with TEMPLATE.open("rb") as lines:
        catalogue = read_po(lines)
    played = conversation(DIALECTS[provider], Cast(("one", "another"), "one", "another", by_groups=by_groups))
    said = [each.does for chapter in played for each in chapter.lines if isinstance(each, Line)]
    assert len(said) > 5
    assert [each for each in (*said, *(chapter.title for chapter in played)) if each not in catalogue] == []


@pytest.mark.parametrize("provider", DIALECTS)
async def test_each_provider(browser: Browser, acme: Tenant, provider: str) -> None:
    """Each call stands there with its answer, and what it meant by the rule of this tenant."""
    await signed_in(browser, acme, acme.admin)
    asked = await browser.open("/console/setup", provider=provider)
    assert f'href="{address(provider)}"' in asked.text

    page = await rehearsed(browser, provider)

    steps = told(page)
    (created,) = [said for title, (_, said) in steps.items() if title.endswith(" creates her")]
    assert created.startswith("She is here, as Member.")
    (given,) = [each for title, each in steps.items() if title.endswith("puts Ana into the group: dart-guests")]
    assert given == ("good", 'She is Guest. The provider names one role: "guest" (group "dart-guests").')
    (torn,) = [each for title, each in steps.items() if title.endswith("puts Ana into the group: dart-admins")]
    assert torn[0] == "notice"
    assert "Refused, and nothing was changed: she keeps the role Guest." in torn[1]
    assert steps["The product asks whether her session is good"] == ("good", "It is good no more.")
    assert "1 session. A real one is signed" in steps["A receipt is made"][1]
    assert "gets through" in page
    assert "Names that contradict each other were sent on purpose" in page
    assert 'eq "ana.reyes@rehearsal.example"' in page
    assert '<code>POST /scim/v2/Users</code> <span class="number">201</span>' in page
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script(?! src)", page)
    assert "rc_" not in page


async def test_own_names(browser: Browser, acme: Tenant) -> None:
    """The names that an admin gives are read by the rule, and stay in the form; what no role has says what to do."""
    await signed_in(browser, acme, acme.admin)

    page = await rehearsed(browser, names="DART_GUESTS\r\nDart Players\r\n<b>dart-owners</b>\r\ndart-owners")

    steps = told(page)
    pushed = {title.partition(": ")[2]: each for title, each in steps.items() if "pushes a group" in title}
    assert pushed["DART_GUESTS"] == ("good", "Whoever is in it is Guest.")
    assert pushed["Dart Players"][0] == pushed["dart-owners"][0] == "notice"
    assert 'Does not begin with "dart-"' in pushed["Dart Players"][1]
    assert "is no role here" in pushed["dart-owners"][1]
    assert 'href="/console/roles?name=dart-owners#try"' in page
    assert "3 steps say names that give no role" in page
    assert "<b>dart-owners" not in browser.page.text
    assert re.search(r"<textarea[^>]+>DART_GUESTS\nDart Players\n", page)


async def test_the_remedy_at_the_provider(browser: Browser, acme: Tenant) -> None:
    """What to do about contradicting names is said as the provider's own pages call it."""
    await signed_in(browser, acme, acme.admin)
    assert "<b>Push Groups</b>" in await rehearsed(browser, "okta")
    assert "<b>Provision on demand</b>" in await rehearsed(browser, "entra")


async def test_conflicts_held(browser: Browser, callers: Callers) -> None:
    """Where the rule holds them the page says so."""
    held = await a_tenant(callers, rule=DART_RULE | {"on_conflict": "hold"})
    await signed_in(browser, held, held.admin)
    steps = told(await rehearsed(browser))
    (torn,) = [each for title, each in steps.items() if title.endswith("into the group: dart-admins")]
    assert torn[0] == "notice"
    assert "Taken, but held: she keeps the role Guest, and a case is opened." in torn[1]


async def test_without_scim(browser: Browser, callers: Callers) -> None:
    """On a plan without SCIM the page says so before, and the rehearsal ends with the first call's refusal."""
    free = await a_tenant(callers, plan="free")
    await signed_in(browser, free, free.admin)
    assert "“Free”, does not include SCIM" in (await browser.open(address())).text

    page = await rehearsed(browser, names="x")

    assert "Okta would stop here" in page
    (step,) = told(page).values()
    assert step[0] == "bad"
    assert "Free" in step[1]
    assert "Ask the support of" in page


async def test_a_plan_that_has_lost_scim(browser: Browser, acme: Tenant) -> None:
    """Where only leavers pass any more, looking people up is answered, and creating one is what ends it."""
    await signed_in(browser, acme, acme.admin)
    await acme.callers.operator.patch(acme.v1, json={"plan": "free"})
    page = await rehearsed(browser)
    assert [tone for tone, _ in told(page).values()] == ["good", "good", "good", "bad"]
    assert "people can still be deactivated" in page


async def test_it_is_entered_and_nothing_else(browser: Browser, acme: Tenant, other: Tenant, owner: Connection) -> None:
    """What is left of it is one entry in the tenant's own audit, and nothing with anybody else."""
    await signed_in(browser, acme, acme.admin)
    await browser.open(address())
    entries = len(await acme.audit())
    count = "SELECT count(*) FROM outbox"
    messages = await owner.fetchval(count)

    await rehearsed(browser, "entra")

    (entry,) = await acme.audit(action="console.rehearsed")
    assert (entry["person_id"], entry["payload"]["provider"]) == (acme.admin["id"], "entra")
    assert 10 < entry["payload"]["calls"] <= 30
    assert len(await acme.audit()) == entries + 1
    assert await owner.fetchval(count) == messages
    assert await other.audit(action="console.rehearsed") == []
    assert "rehearsed the set-up" in (await browser.open("/console/activity")).text


async def test_two_at_once(browser: Browser, acme: Tenant, console_app: Litestar) -> None:
    """While one runs for a company a second one is refused, with what to do."""
    await signed_in(browser, acme, acme.admin)
    await browser.open(address())
    rehearsals: Any = console_app.state.rehearsals
    answers = rehearsals._answers
    pages: list[httpx.Response] = []

    class Meanwhile:
        async def __call__(self, context: Any, sent: Any) -> Any:
            if not pages:
                pages.append(await browser.send(address("entra"), names=""))
            return await answers(context, sent)

    rehearsals._answers = Meanwhile()
    try:
        first = await browser.send(address(), names="")
    finally:
        rehearsals._answers = answers

    assert first.status_code == 200
    assert pages[0].status_code == 409
    assert "running already" in pages[0].text


async def test_by_a_link_for_the_setup(browser: Browser, acme: Tenant) -> None:
    """Whoever came by a link for the set-up rehearses too, and is led to no page that they can't open."""
    await entered(browser, await a_link(acme, "setup"))
    page = await rehearsed(browser, names="dart-owners")
    assert "/console/roles?" not in page


async def test_not_for_others(browser: Browser, acme: Tenant) -> None:
    """A stranger is led to the sign-in, a link of another intent opens nothing of it, and no provider is made up."""
    assert (await browser.open(address())).status_code == 303
    await entered(browser, await a_link(acme, "tokens"))
    assert (await browser.open(address())).status_code == 403
    await browser.open("/console/tokens")
    assert (await browser.send(address(), names="")).status_code == 403
    assert await acme.audit(action="console.rehearsed") == []


async def test_a_person_who_is_no_admin(browser: Browser, acme: Tenant) -> None:
    """Somebody who is no admin has no rehearsal, nor has a provider of whom there is no guide."""
    maria = await acme.person()
    await signed_in(browser, acme, maria)
    assert (await browser.open(address())).status_code == 403
    assert (await browser.send(address(), names="")).status_code == 403


async def test_no_such_provider(browser: Browser, acme: Tenant) -> None:
    """There is no rehearsal of a provider without a guide."""
    await signed_in(browser, acme, acme.admin)
    assert (await browser.open(address("nobody"))).status_code == 404
    assert (await browser.send(address("nobody"), names="")).status_code == 404


async def test_whoever_only_looks(browser: Browser, callers: Callers, acme: Tenant) -> None:
    """An operator who looks at a tenant's pages sees the form, and plays nothing."""
    support = await at_work(callers.database, browser, OperatorRole.SUPPORT)
    await look(support.browser, acme)
    assert (await support.browser.open(address())).status_code == 200
    assert (await support.browser.send(address(), names="")).status_code == 403
    assert await acme.audit(action="console.rehearsed") == []


async def test_an_admin_who_leaves_meanwhile(browser: Browser, acme: Tenant, console_app: Litestar) -> None:
    """Whoever is deactivated while it is played is shown nothing of it, and it is entered as nobody's."""
    await signed_in(browser, acme, acme.admin)
    await browser.open(address())
    rehearsals: Any = console_app.state.rehearsals
    play = rehearsals.play

    async def and_leave(*given: Any) -> Any:
        played = await play(*given)
        await acme.callers.operator.post(f"{acme.v1}/people/{acme.admin['id']}/deactivate")
        return played

    rehearsals.play = and_leave
    try:
        answer = await browser.send(address(), names="")
    finally:
        rehearsals.play = play

    assert "Your session has ended" in answer.text
    assert await acme.audit(action="console.rehearsed") == []


async def test_a_suspended_tenant(browser: Browser, acme: Tenant) -> None:
    """The session of a suspended tenant's admin is not good, for this as for everything."""
    await signed_in(browser, acme, acme.admin)
    await browser.open(address())
    await acme.callers.operator.post(f"{acme.v1}/suspend")
    answer = await browser.send(address(), names="")
    assert "gets through" not in answer.text
    assert answer.status_code in (401, 403)


async def test_others_go_on(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """While one tenant rehearses, another one's provider and pages are served."""
    await signed_in(browser, acme, acme.admin)
    await browser.open(address())

    playing = asyncio.create_task(browser.send(address(), names=""))
    served = 0
    while not playing.done():
        assert (await other.scim.get("/Users", params={"count": "1"})).status_code == 200
        served += 1

    assert served >= 2
    assert (await playing).status_code == 200
