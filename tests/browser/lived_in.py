"""A company with a past: five hundred people, groups, a month of calls, leavers, cases, webhooks and alerts."""

import asyncio
import json
from typing import Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs]  # it ships no types
import httpx

from browser.served import Served
from factories import USER, deactivation, patch_op
from rollcall.cli.embedded import DATABASE

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
SLUG = "harbour-rail"
PEOPLE = 500

FIRST = [
    "Maria",
    "Noor",
    "Ada",
    "Tomasz",
    "Ines",
    "Kofi",
    "Lena",
    "Ravi",
    "Yuki",
    "Omar",
    "Freya",
    "Luca",
    "Amara",
    "Jonas",
    "Priya",
    "Mateo",
    "Saga",
    "Emil",
    "Zofia",
    "Idris",
    "Nadia",
    "Oskar",
    "Leila",
    "Hugo",
    "Mina",
]
LAST = [
    "Silva",
    "Haddad",
    "Okafor",
    "Nowak",
    "Costa",
    "Mensah",
    "Vogel",
    "Iyer",
    "Tanaka",
    "Farouk",
    "Lindqvist",
    "Bianchi",
    "Diallo",
    "Weber",
    "Rao",
    "Herrera",
    "Berg",
    "Novak",
    "Zielinska",
    "Bello",
]

RULE: dict[str, Any] = {
    "prefix": "dart-",
    "roles": {
        "admin": {"label": "Admin", "admin": True, "names": ["admins"]},
        "member": {"label": "Member", "names": ["members"]},
        "dispatcher": {"label": "Dispatcher", "names": ["dispatchers"], "aliases": ["Operations Control"]},
        "guest": {"label": "Guest", "names": ["guests"]},
        "financial-admin": {"label": "Financial admin", "names": ["financial-admins"]},
    },
    "default": "member",
}


class PastCompany:
    """The company, once it has been filled."""

    def __init__(self, installation: Served) -> None:
        self.installation = installation
        self.people: list[dict[str, Any]] = []
        self.groups: dict[str, dict[str, Any]] = {}
        with installation.operator() as operator:
            self.operator = operator
            self._founded()
            with self._provider() as provider:
                self._provision(provider)
                self._everyday(provider)
            self._events()
        (file,) = installation.home.rglob("postgres.json")
        asyncio.run(self._aged(json.loads(file.read_text())))

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self.operator.request(method, path, json=body or None, timeout=60)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def _provider(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token['token']}", "User-Agent": "Okta SCIM Client 1.0.0"}
        return httpx.Client(base_url=f"{self.installation.ready['base_url']}/scim/v2", headers=headers, timeout=60)

    def _founded(self) -> None:
        terms = {"slug": SLUG, "name": "Harbour Rail", "plan": "enterprise", "rate_per_second": 0}
        self._ask("POST", "/v1/tenants", **terms, owner_leaves="offboarding_only")
        self.at = f"/v1/tenants/{SLUG}"
        self._ask("PUT", f"{self.at}/role-rule", **RULE)
        ada = {"user_name": "ada.okafor@harbour-rail.example", "display_name": "Ada Okafor", "role": "admin"}
        self.admin = self._ask("POST", f"{self.at}/people", **ada)
        leaver = {"user_name": "ines.vogel@harbour-rail.example", "display_name": "Ines Vogel", "role": "admin"}
        self.leaver = self._ask("POST", f"{self.at}/people", **leaver)
        old = {"label": "Okta before the move", "owner": self.leaver["id"]}
        self.left_behind = self._ask("POST", f"{self.at}/tokens", **old)
        wanted = {"label": "Okta production", "owner": self.admin["id"], "scopes": ["scim"]}
        self.token = self._ask("POST", f"{self.at}/tokens", **wanted)
        self._ask("POST", f"{self.at}/people/{self.leaver['id']}/deactivate")

    def _provision(self, provider: httpx.Client) -> None:
        for place in range(PEOPLE):
            first, last = FIRST[place % len(FIRST)], LAST[(place // len(FIRST)) % len(LAST)]
            name = f"{first}.{last}{'' if place < 500 else place}@harbour-rail.example".lower()
            person = {
                "schemas": [USER],
                "userName": name,
                "displayName": f"{first} {last}",
                "externalId": f"00u{place}",
            }
            made = provider.post("/Users", json=person)
            if made.status_code == 201:
                self.people.append(made.json())
        wanted = {
            "dart-admins": self.people[:3],
            "dart-members": self.people[3:330],
            "dart-guests": self.people[330:380],
            "dart-wizards": self.people[380:382],
            "Operations Control": self.people[390:440],
            "Engineering Leads": self.people[440:452],
            "Platform": self.people[3:60],
            "All staff": [],
        }
        for name, members in wanted.items():
            values = [{"value": each["id"]} for each in members]
            if name == "All staff":
                values = [{"value": self.groups[each]["id"]} for each in ("dart-members", "Platform")]
            body = {"schemas": [GROUP], "displayName": name, "members": values}
            self.groups[name] = provider.post("/Groups", json=body).raise_for_status().json()
        for place in (453, 454, 455, 456, 457, 458, 459):
            provider.patch(f"/Users/{self.people[place]['id']}", json=deactivation()).raise_for_status()
        both = {**self.people[460], "roles": ["dart-guests", "dart-financial-admins"]}
        assert provider.put(f"/Users/{self.people[460]['id']}", json=both).status_code == 400
        provider.get("/Users", params={"filter": 'userName eq "nobody@harbour-rail.example"'}).raise_for_status()
        provider.post("/Users", json={"userName": ""})

    def _everyday(self, provider: httpx.Client) -> None:
        """What a provider does on a day on which little happens."""
        for place, person in enumerate(self.people[40:140]):
            found = {"filter": f'userName eq "{person["userName"]}"'}
            provider.get("/Users", params=found).raise_for_status()
            if place % 3 == 0:
                title = {"op": "replace", "path": "title", "value": f"Shift lead {place}"}
                provider.patch(f"/Users/{person['id']}", json=patch_op(title)).raise_for_status()

    def _events(self) -> None:
        topics = ["user.deactivated", "user.provisioned", "token.rotated"]
        taken = {"url": "http://127.0.0.1:9/hooks/rollcall", "label": "People data warehouse", "topics": topics}
        self.destination = self._ask("POST", f"{self.at}/destinations", **taken)
        other: dict[str, Any] = {"url": "http://127.0.0.1:9/siem", "label": "SIEM", "topics": []}
        siem = self._ask("POST", f"{self.at}/destinations", **other)
        self._ask("POST", f"{self.at}/destinations/{siem['id']}/disable")
        tested = self._ask("POST", f"{self.at}/destinations/{self.destination['id']}/test")
        self.delivery = tested["delivery_id"]
        person = self.people[5]["id"]
        self._ask("POST", f"{self.at}/people/{person}/role", role="financial-admin")
        key = {"Authorization": f"Bearer {self.installation.ready['application_key']}"}
        with httpx.Client(base_url=self.installation.ready["base_url"], headers=key) as product:
            opened = {"tenant": SLUG, "person": person, "label": "Firefox on Linux"}
            product.post("/v1/sessions", json=opened).raise_for_status()
            wanted = {"label": "deploy script", "scopes": ["repo:read"]}
            product.post(f"{self.at}/people/{person}/tokens", json=wanted).raise_for_status()
            wanted = {"kind": "ssh_key", "name": "SHA256:4ZxvMQZ3h2f0", "label": "laptop"}
            product.post(f"{self.at}/people/{person}/external-credentials", json=wanted).raise_for_status()

    def lapse(self) -> None:
        """Put the company on a plan without SCIM."""
        with self.installation.operator() as operator:
            answer = operator.patch(self.at, json={"plan": "free"})
            assert answer.status_code == 200, answer.text

    async def _aged(self, told: dict[str, Any]) -> None:
        """Spread calls over a month, as the owner of the tables, whom nothing keeps from rewriting the past."""
        driver: Any = asyncpg
        address = {"host": "127.0.0.1", "port": told["port"], "user": "postgres", "password": told["password"]}
        connection = await driver.connect(database=DATABASE, **address)
        await connection.execute("SET session_replication_role = replica")
        for statement in (_ALERTS, _JOINED, _SINCE, _CALLS):
            await connection.execute(statement, SLUG)
        await connection.execute(_LAST_MONTHS, SLUG)
        await connection.close()


_ALERTS = """
WITH ends AS (
    UPDATE tokens k SET expires_at = now() + interval '6 days 4 hours' FROM tenants t
     WHERE t.slug = $1 AND k.tenant_id = t.id AND k.label = 'Okta production'
    RETURNING k.tenant_id, k.id, k.label, k.expires_at),
told AS (
    INSERT INTO alerts (tenant_id, kind, subject, stage, facts)
    SELECT tenant_id, 'token_ends', id::text, '7', jsonb_build_object('label', label, 'expires_at', expires_at)
      FROM ends)
INSERT INTO mass_changes (tenant_id, began_at, noticed_at, count, threshold)
SELECT t.id, now() - interval '20 minutes', now() - interval '15 minutes', 7, 6 FROM tenants t WHERE t.slug = $1
"""
"""What the worker would notice within minutes, so that the pictures have it."""

_JOINED = """
UPDATE audit_entries e SET at = at - interval '31 days' - random() * interval '200 days'
  FROM tenants t WHERE t.slug = $1 AND e.tenant_id = t.id AND e.action = 'scim.users.create' AND e.outcome = 'done'
"""
_SINCE = """
UPDATE accounts a SET created_at = e.at FROM audit_entries e, tenants t
 WHERE t.slug = $1 AND a.tenant_id = t.id AND e.tenant_id = t.id AND e.account_id = a.id
   AND e.action = 'scim.users.create' AND e.outcome = 'done'
"""
"""People came over the months before."""

_CALLS = """
INSERT INTO audit_entries (tenant_id, at, request_id, action, actor_kind, actor_id, actor_label, account_id, outcome,
                           status, detail, events, method, path, source)
SELECT e.tenant_id, day + make_interval(mins => (random() * 1200)::int), md5(random()::text), e.action, e.actor_kind,
       e.actor_id, e.actor_label, e.account_id, e.outcome, e.status, e.detail, e.events, e.method, e.path, e.source
  FROM generate_series(now() - interval '29 days', now() - interval '1 day', interval '1 day') AS day
 CROSS JOIN LATERAL (
       SELECT x.* FROM audit_entries x JOIN tenants t ON t.id = x.tenant_id AND t.slug = $1
        WHERE x.actor_kind = 'scim_token' AND x.action NOT IN ('scim.users.create', 'scim.groups.create')
          AND NOT 'user.deactivated' = ANY (x.events)
        ORDER BY md5(x.id::text || day::text)
        LIMIT CASE WHEN extract(isodow FROM day) > 5 THEN 18 ELSE 60 + (random() * 90)::int END) AS e
"""
"""Calls as there were today, on each of the 29 days before."""

_LAST_MONTHS = """
INSERT INTO seat_usage (tenant_id, month, peak, active, person_seconds, counted_from, counted_at)
SELECT t.id, (date_trunc('month', now()) - make_interval(months => back))::date, 500 - back * 22, 495 - back * 22,
       (485 - back * 22) * 86400 * 30, date_trunc('month', now()) - make_interval(months => back),
       date_trunc('month', now()) - make_interval(months => back - 1)
  FROM tenants t, generate_series(1, 5) AS back WHERE t.slug = $1
ON CONFLICT DO NOTHING
"""
