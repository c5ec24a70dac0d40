"""No page says anything that is not in the catalogue: in a language of brackets every word stands in some."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from babel.dates import get_month_names
from litestar import Litestar
from litestar.routes import HTTPRoute

from console.conftest import CONSOLE_URL, Browser, a_device, signed_in
from console.operating import FLEET, accept, invited, register
from console.pseudo import dropped_in, forgotten
from console.test_contacts import a_contact_link, text_of
from console.test_operator_queues import a_dead_delivery
from console.test_passwords import with_password
from console.test_portal import a_link
from factories import DART_RULE, Callers, Tenant, a_tenant, alive, deactivation, in_process
from proof.test_mass_changes import left
from rollcall.app import create_app
from rollcall.db import Connection
from rollcall.provisioning.rehearsals.providers import DIALECTS
from rollcall.settings import Settings
from rollcall.tenancy.operators import OperatorRole

TAG = "de"
"""A real language, so that there are dates in it."""

MONTHS = set(cast("dict[int, str]", get_month_names("wide", locale=TAG)).values())
PROTOCOL = {
    *("SCIM", "SCIM 2.0", "API", "HTTP", "userName", "externalId", "ms", "min", "Rollcall", "roles"),
    *("Okta", "Microsoft Entra ID", "OneLogin", "JumpCloud", "Google Workspace", "Other"),
    *("XXXXX-XXXXX", "XXXXX-XXXXX-XXXXX-XXXXX", "acme-", "https://hooks.example.com/rollcall"),
}
"""Words of protocols, names of products, units, and examples of what is typed: the same in every language."""

DATA = {
    *("rollcall", "ops under test", "product under test", "Kim", "laptop", "repo:read", "SHA256:4Zx", "scim", "groups"),
    *("https://93.184.215.14/", "A browser", "Portal link"),
}
"""Who acts, what tests call things, and what is stored of a session as it is opened, in English."""

FILES = {
    *("console_asset", "console_bundle", "console_receipt", "front_door"),
    *(f"console_export_{each}" for each in ("activity", "people", "departures", "groups")),
}
"""What answers a GET and is no page."""

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
HEADERS = {"Accept-Language": f"{TAG},en;q=0.5"}


@dataclass
class Walk:
    """Somebody who opens page after page, and keeps what each says outside of brackets."""

    browser: Browser
    names: set[str]
    opened: set[str]
    found: dict[str, list[str]]

    def look(self, page: httpx.Response, status: int | None = 200) -> httpx.Response:
        """Look at a page that is open."""
        said = list(forgotten(page.text, self.names | PROTOCOL | DATA | MONTHS))
        if status is not None and page.status_code != status:
            plain = re.sub(r"<[^>]*>|\s+", " ", page.text)[-400:]
            said.append(f"status {page.status_code}: {plain}")
        if not page.text.startswith((f'<!doctype html>\n<html lang="{TAG}">', '<ul class="checks">')):
            said.append(f"not in its language: {page.text[:100]}")
        if said:
            self.found[f"{page.request.method} {page.request.url.path}"] = said
        return page

    async def open(self, path: str, *, status: int = 200, **parameters: Any) -> httpx.Response:
        """Open a page, and look at it."""
        return self.look(await self.browser.open(path, **parameters), status)

    async def send(self, path: str, *, status: int | None = 200, **fields: str) -> httpx.Response:
        """Send a form, and look at what answers it."""
        return self.look(await self.browser.send(path, **fields), status)

    async def follow(self, path: str, **fields: str) -> httpx.Response:
        """Send a form, and look at the page that it leads to."""
        return self.look(await self.browser.follow(await self.browser.send(path, **fields)))


@pytest_asyncio.fixture(scope="module")
async def brackets(
    settings: Settings, callers: Callers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Litestar]:
    """A web process with the language of brackets dropped in."""
    folder = tmp_path_factory.mktemp("locales")
    dropped_in(folder, TAG)
    changed = {"public_url": CONSOLE_URL, "console_locales": folder}
    async with alive(create_app(settings.model_copy(update=changed))) as app:
        yield app


@pytest_asyncio.fixture
async def walk(brackets: Litestar) -> AsyncGenerator[Walk]:
    """A walk with a new browser; each page's name is noted as it is opened."""
    opened: set[str] = set()

    async def note(request: httpx.Request) -> None:
        if request.method == "GET":
            opened.add(name_of(brackets, request.url.path.rstrip("/")))

    client = httpx.AsyncClient(
        transport=in_process(brackets), base_url=CONSOLE_URL, headers=HEADERS, event_hooks={"request": [note]}
    )
    async with client:
        yield Walk(Browser(client), set(), opened, {})


def pages_of(app: Litestar) -> dict[str, re.Pattern[str]]:
    """The name of each page that a GET opens, and its path."""
    return {
        str(handler.name): re.compile(re.sub(r"\\\{\w+(:str)?\\\}", "[^/]+", re.escape(route.path_format)))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "GET" in handler.http_methods and str(handler.name).startswith(("console_", "front_door"))
    }


def name_of(app: Litestar, path: str) -> str:
    """The page at a path: of several that fit the one that leaves least open."""
    fitting = [(name, each) for name, each in pages_of(app).items() if each.fullmatch(path)]
    return min(fitting, key=lambda each: each[1].pattern.count("[^/]+"), default=("console_nothing", None))[0]


@dataclass
class Lived:
    """A company with something on every page."""

    tenant: Tenant
    maria: str
    gone: str
    group: str
    left_behind: str
    hook: str
    delivery: str


async def lived_in(callers: Callers, owner: Connection, walk: Walk) -> Lived:
    """Fill a new company; its names are no words of the console."""
    tenant = await a_tenant(callers, plan="enterprise", owner_leaves="offboarding_only")
    ask, at = callers.operator, tenant.v1
    maria = await tenant.person(f"maria@{tenant.slug}.test", displayName="Maria Silva", externalId="00u1")
    former = await tenant.person(f"noor@{tenant.slug}.test")
    assert (await tenant.scim.delete(f"/Users/{former['id']}")).status_code == 204
    again = await tenant.person(f"noor@{tenant.slug}.test")
    both = {**maria, "roles": ["dart-guests", "dart-financial-admins"]}
    assert (await tenant.scim.put(f"/Users/{maria['id']}", json=both)).status_code == 400
    odd = await tenant.person(f"odd@{tenant.slug}.test", roles=["dart-wizards"])
    members = [{"value": each["id"]} for each in (maria, again)]
    made = await tenant.scim.post(
        "/Groups", json={"schemas": [GROUP], "displayName": "dart-guests", "members": members}
    )
    group = made.json()["id"]
    away = (await ask.post(f"{at}/people", json={"user_name": f"ines@{tenant.slug}.test", "role": "admin"})).json()
    old = (await ask.post(f"{at}/tokens", json={"label": "Vroom", "owner": away["id"]})).json()
    await ask.post(f"{at}/people/{away['id']}/deactivate")
    assert (await ask.post(f"{at}/people/{maria['id']}/role", json={"role": "technical-admin"})).status_code < 300
    leaver = await tenant.person(f"zoe@{tenant.slug}.test")
    await tenant.scim.patch(f"/Users/{leaver['id']}", json=deactivation())
    await owner.execute(  # what the relay and the worker do, with nobody to tell
        "UPDATE outbox SET fanned_out_at = now(), done_at = now() WHERE account_id = $1", UUID(leaver["id"])
    )
    await tenant.scim.post("/Users", json={"userName": ""})
    await tenant.session(maria)
    await tenant.personal_token(maria)
    await tenant.external(maria, "SHA256:4Zx")
    hook = await a_dead_delivery(tenant, owner)
    delivery = await owner.fetchval("SELECT id FROM deliveries WHERE destination_id = $1", UUID(hook["id"]))
    walk.names |= {tenant.slug, tenant.slug.title(), tenant.admin["user_name"], "Maria Silva", hook["label"], "Vroom"}
    walk.names |= {f"{each}@{tenant.slug}.test" for each in ("maria", "noor", "odd", "ines", "zoe")}
    for plan in (await ask.get("/v1/plans")).json()["data"]:
        walk.names |= {plan["key"], plan["name"]}
    walk.names |= {*DART_RULE["roles"], *(str(each["label"]) for each in DART_RULE["roles"].values())}
    walk.names |= {"identity provider", "dart-guests", "dart-wizards", odd["id"]}
    return Lived(tenant, maria["id"], again["id"], group, old["id"], hook["id"], str(delivery))


async def of_strangers(walk: Walk, lived: Lived) -> None:
    """What anybody sees, and who comes by a link."""
    for path in ("/status", "/verify", "/console/sign-in", "/console/sign-in/password", "/console/contact"):
        await walk.open(path)
    await walk.open("/verify")
    await walk.send("/verify", statement="nonsense")
    await walk.send("/console/sign-in", status=None, workspace=lived.tenant.slug, code="XXXXX")
    await walk.send("/console/sign-in/password", status=None, workspace=lived.tenant.slug, user_name="x", password="y")
    await walk.open("/console/portal", link=await a_link(lived.tenant))
    await walk.open("/console/portal")
    await walk.open("/console/contact", link=text_of(await a_contact_link(lived.tenant)))
    await walk.open("/console/nothing/here", status=404)


async def of_admins(walk: Walk, lived: Lived) -> None:
    """What the company's admin sees."""
    tenant, maria, hook = lived.tenant, lived.maria, f"/console/webhooks/{lived.hook}"
    for path in ("", "setup", "setup?provider=okta", "setup?provider=other", "setup/live", "setup/okta/print"):
        await walk.open(f"/console/{path}")
    for path in ("tokens", "people", "people?q=maria", "people?q=nobody", "people/new", "groups", "roles", "activity"):
        await walk.open(f"/console/{path}")
    for path in ("activity?outcome=refused", "activity?action=role_rule", "departures", "webhooks", "plan", "team"):
        await walk.open(f"/console/{path}")
    for name in ("activity", "people", "departures", "groups"):
        await walk.open(f"/console/{name}/export")
    for path in (maria, lived.gone, f"{maria}/deactivate", f"{maria}/lift", f"{maria}/role?role=guest"):
        await walk.open(f"/console/people/{path}")
    for path in walk.browser.addresses("/close"):
        await walk.open(path)
    person = await walk.open(f"/console/people/{maria}")
    for path in re.findall(r'"(/console/people/[^"]+/close)"', person.text):
        await walk.open(path)
    person = await walk.open(f"/console/people/{lived.gone}")
    link, *_ = re.findall(r'"(/console/people/[^"]+/link\?former=[^"]+)"', person.text)
    await walk.open(link)
    entry = (await tenant.audit(outcome="refused"))[0]
    await walk.open(f"/console/activity/{entry['request_id']}")
    await walk.open(f"/console/groups/{lived.group}")
    await walk.open("/console/roles", name="dart-guests")
    await walk.open("/console/roles/edit")
    await walk.send("/console/roles/map", name="Platform", role="guest")
    await walk.send("/console/roles/map", status=400, name="dart-guests", role="admin")
    for path in ("revoke", "rotate"):
        await walk.open(f"/console/tokens/{tenant.token['id']}/{path}")
    await walk.open(f"/console/tokens/{lived.left_behind}/take-over")
    await walk.send("/console/tokens", label="Vroom", use="scim", lives="90")
    await walk.send("/console/tokens", status=400, label="", use="scim", lives="90")
    await walk.send(f"/console/tokens/{tenant.token['id']}/revoke", status=None, typed="x")
    for path in ("", "/edit", "/secret", "/pause", "/delete", "/replay", f"/deliveries/{lived.delivery}"):
        await walk.open(f"{hook}{path}")
    await walk.open("/console/webhooks/new")
    await walk.send("/console/webhooks/new", status=400, label="", url="", kind="webhook")
    await walk.send(f"{hook}/secret", overlap="3600")
    await walk.follow(f"{hook}/pause")
    await walk.open("/console/webhooks")


async def of_rehearsals(walk: Walk, callers: Callers) -> None:
    """What an admin sees of each provider's rehearsal, and of one that stops."""
    walk.names |= {"dart-admins", "Everybody"}
    hold, by_attribute = DART_RULE | {"on_conflict": "hold"}, DART_RULE | {"sources": ["roles"]}
    for rule, providers in ((DART_RULE, [*DIALECTS]), (hold, ["okta"]), (by_attribute, ["entra"])):
        company = await a_tenant(callers, rule=rule)
        walk.names |= {company.slug, company.slug.title(), company.admin["user_name"]}
        await signed_in(walk.browser, company, company.admin)
        for provider in providers:
            await walk.open(f"/console/setup/{provider}/rehearse")
            await walk.send(f"/console/setup/{provider}/rehearse", names="dart-guests\ndart-wizards\ndart-admins")
    await callers.operator.patch(company.v1, json={"plan": "free"})
    await walk.open("/console/setup/okta/rehearse")
    await walk.send("/console/setup/okta/rehearse", names="")


async def of_the_team(walk: Walk, lived: Lived) -> None:
    """The pages about who may be an admin, and about oneself."""
    maria = lived.maria
    for path in (f"team/{lived.gone}/appoint", f"team/{lived.gone}/deputy"):
        await walk.open(f"/console/{path}")
    await walk.send("/console/team/appoint", status=400, person="nobody")
    await walk.follow(f"/console/team/{lived.gone}/deputy")
    await walk.open("/console/team/no-deputy")
    await walk.send("/console/team/links", label="Vroom", days="3")
    await walk.open("/console/team")
    link, *_ = walk.browser.addresses("/revoke")
    await walk.open(link)
    await walk.browser.add_passkey("Vroom", a_device())
    await lived.tenant.session(lived.tenant.admin)
    await lived.tenant.personal_token(lived.tenant.admin)
    account = await walk.open("/console/account", done="passkey-added")
    for path in re.findall(r'"(/console/account/[^"?]+)"', account.text):
        if "begin" not in path:
            await walk.open(path)
    await walk.send("/console/account/password", status=400, password="x", again="y")
    await walk.follow(f"/console/people/{maria}/deactivate", typed=f"maria@{lived.tenant.slug}.test")
    await walk.send(f"/console/people/{maria}/deactivate", status=400, typed="x")
    await walk.browser.http.post("/console/team/appoint")  # no form of ours
    await walk.open("/console/people/nobody", status=404)


async def of_a_mass_change(walk: Walk, callers: Callers, owner: Connection) -> None:
    """What an admin sees as unusually many people leave."""
    busy = await a_tenant(callers, mass_change_threshold=1)
    await left(busy, owner, 2)
    walk.names |= {busy.slug, busy.slug.title()}
    await signed_in(walk.browser, busy, busy.admin)
    await walk.open("/console/")
    release, *_ = walk.browser.addresses("/release")
    await walk.open(release)
    await walk.send(release, status=400, typed="x")


async def of_operators(walk: Walk, lived: Lived, callers: Callers, owner: Connection) -> None:
    """What operators see, from the invitation on."""
    link, device = await invited(callers.database, "grace@vendor.test", OperatorRole.OPS), a_device()
    walk.names |= {"grace@vendor.test", "ops"}
    await walk.open(f"{FLEET}/sign-in")
    await walk.open(f"{FLEET}/invitation")
    await walk.open(f"{FLEET}/invitation", link=link)
    walk.look(await walk.browser.follow(await accept(walk.browser, link)))
    assert (await register(walk.browser, device)).status_code == 200
    busy = await a_tenant(callers, mass_change_threshold=1)
    await left(busy, owner, 2)
    at, slug = f"{FLEET}/tenants/{lived.tenant.slug}", lived.tenant.slug
    everybody = await callers.operator.get("/v1/tenants", params={"limit": 500})
    for each in everybody.json()["data"]:
        walk.names |= {each["slug"], each["name"], f"hook of {each['slug']}"}
    for path in (
        "",
        "?q=nobody",
        f"?q={slug}",
        "?by=name",
        "/queues",
        "/queues/replay",
        "/switch?q=",
        "/switch?q=nobody-is-called-so&section=plan",
        f"/queues/{slug}/{lived.hook}/replay",
    ):
        await walk.open(f"{FLEET}{path}")
    for path in ("", "/plan?plan=free", "/suspend", "/resume", "/pause?minutes=15", "/view", f"/admins/{lived.gone}"):
        await walk.open(f"{at}{path}")
    await walk.follow(f"{at}/overrides", override="seats", seats="5", reason="Vroom", ends="2099-01-31")
    await walk.open(f"{at}/overrides/seats/end")
    await walk.send(f"{at}/overrides", status=400, override="seats", seats="x", reason="Vroom")
    await walk.send(f"{at}/tokens", label="Vroom", use="scim", lives="90")
    await walk.send(f"{at}/links", intent="activity", person=lived.tenant.admin["id"])
    await walk.send(f"{at}/admins", status=400, user_name="nobody")
    await walk.open(f"{FLEET}/tenants/{busy.slug}")
    release, *_ = walk.browser.addresses("/release")
    await walk.open(release)
    await walk.open(f"{FLEET}/tenants/nobody", status=404)
    await walk.follow(f"{at}/pause", minutes="15")
    await walk.open(at)
    await walk.follow(f"{at}/suspend", typed=slug)


@pytest.mark.slow
@pytest.mark.bound(600)
async def test_every_page(
    walk: Walk, brackets: Litestar, callers: Callers, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every page that there is, opened in the language of brackets, says nothing outside of them but data."""
    lived = await lived_in(callers, owner, walk)
    await of_strangers(walk, lived)
    await with_password(lived.tenant)
    await signed_in(walk.browser, lived.tenant, lived.tenant.admin)
    await of_admins(walk, lived)
    await of_the_team(walk, lived)
    await of_a_mass_change(walk, callers, owner)
    await of_rehearsals(walk, callers)
    terms = brackets.state.console
    monkeypatch.setattr(brackets.state, "console", replace(terms, fresh=timedelta(0), sends_mail=True))
    await walk.open("/console/confirm", act="/console/tokens")
    monkeypatch.setattr(brackets.state, "console", terms)
    await of_operators(walk, lived, callers, owner)
    told = "\n".join(f"{page}: {each!r}" for page, said in walk.found.items() for each in said)
    assert not walk.found, told
    assert {*pages_of(brackets)} - walk.opened - FILES == set()
