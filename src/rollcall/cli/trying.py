"""``rollcall try``: somebody joins, moves and leaves, on a running ``rollcall up``, with words between the answers."""

import json
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import click

from rollcall.cli.giving_up import give_up

RECEIPT_SECONDS = 20
SHOWN_CHARACTERS = 400
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_LEFT_OUT = {"schemas", "meta", "jti", "iat", "exp", "sid", "startIndex", "itemsPerPage", "tenant_id", "expires_at"}
"""Of answers, what is true and tells nothing here."""
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What came back, and how long it took."""

    status: int
    body: Any
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls the running product with a key of theirs."""

    name: str
    base_url: str
    key: str

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, form: bool = False) -> CallAnswer:
        """Call, and give back the answer whatever its status; a product that is not there ends the command."""
        data, content_type = None, "application/json"
        if form:
            data, content_type = urlencode(body or {}).encode(), "application/x-www-form-urlencoded"
        elif body is not None:
            data = json.dumps(body).encode()
            content_type = "application/scim+json" if path.startswith("/scim/") else content_type
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type}
        request = urllib.request.Request(self.base_url + path, data, headers, method=method)  # noqa: S310  # our own address
        begun = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # as above
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        except OSError as error:
            give_up(
                f"Nothing answers at {self.base_url} ({error}).\n"
                "Start it with 'rollcall up' (or 'make up') in another terminal, and try again."
            )
        return CallAnswer(status, json.loads(text) if text else None, (time.monotonic() - begun) * 1000)


@dataclass(frozen=True, slots=True)
class Roles:
    """A tenant's roles that are not an admin's: two, if it has as many, and what its provider calls them."""

    first: str
    first_name: str | None
    then: str | None
    then_name: str | None


@click.command("try")
@click.option(
    "--data-dir",
    default=Path(".rollcall"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The data directory of the 'rollcall up' that runs.",
)
def try_(data_dir: Path) -> None:
    """See somebody join, move and leave: each call, its answer, and what it means. It can be done again and again.

    It needs a 'rollcall up' that runs, and plays both sides that call it: a customer's identity provider, and your
    product.
    """
    facts = _facts(data_dir)
    slug, token = _tenant(facts, data_dir)
    base_url = facts["local_url"]
    provider = Caller("the identity provider", base_url, token)
    product = Caller("your product", base_url, facts["application_key"])
    operator = Caller("ops", base_url, facts["operator_key"])
    _Story(slug, provider, product, operator).tell()


def _facts(data_dir: Path) -> dict[str, Any]:
    try:
        return json.loads((data_dir / "try.json").read_text())
    except FileNotFoundError:
        give_up(
            f"There is no {data_dir / 'try.json'}: start 'rollcall up' (or 'make up') in another terminal and wait "
            "until it is running, or name its data directory with --data-dir."
        )
    except (OSError, ValueError) as error:
        give_up(f"{data_dir / 'try.json'} can't be read ({error}); start 'rollcall up' again, which writes it.")


def _tenant(facts: Mapping[str, Any], data_dir: Path) -> tuple[str, str]:
    tenants: Mapping[str, Mapping[str, str]] = facts["tenants"]
    able = [
        (slug, each["scim_token"]) for slug, each in tenants.items() if each["scim_token"] and each["plan"] != "free"
    ]
    if not able:
        give_up(
            f"{data_dir / 'try.json'} has no token for a plan that includes SCIM; 'rollcall up --fresh' makes some."
        )
    return able[0]


class _Story:
    """One person's time with a customer."""

    def __init__(self, slug: str, provider: Caller, product: Caller, operator: Caller) -> None:
        self._slug = slug
        self._provider = provider
        self._product = product
        self._operator = operator
        self._name = f"maria@{slug}.example"
        self._step = 0

    def tell(self) -> None:
        """From nothing to a receipt; ends the command where an answer is not what the story needs."""
        roles = self._roles()
        person = self._joins(roles)
        session = self._signs_in(person)
        self._moves(person, session, roles)
        before = self._receipts(person)
        self._leaves(person, session)
        self._is_proven(person, {receipt["id"] for receipt in before})
        click.echo(
            "\nThat is all of it. It can be done again: she will come back, as people do."
            "\ndocs/try-it.md has the same calls for curl."
        )

    def _roles(self) -> Roles:
        rule = self._call(self._operator, "GET", f"/v1/tenants/{self._slug}/role-rule", quiet=True).body["rule"]
        prefix = rule.get("prefix") or ""
        plain: list[tuple[str, str | None]] = []
        for key, role in rule["roles"].items():
            names = [*(prefix + name for name in role.get("names", ()) if prefix), *role.get("aliases", ())]
            if not role.get("admin") and "roles" in rule["sources"]:
                plain.append((key, next(iter(names), None)))
        default = next((each for each in plain if each[0] == rule["default"]), (rule["default"], None))
        others = [each for each in plain if each[0] != rule["default"] and each[1]]
        # As a guest first and a member then, where there are such: whoever is nothing special becomes what is usual.
        guest = next((each for each in others if "guest" in each[0]), others[0] if others else None)
        if guest is None or default[1] is None:
            return Roles(default[0], default[1], None, None)
        return Roles(guest[0], guest[1], default[0], default[1])

    def _joins(self, roles: Roles) -> str:
        self._say(
            f"The identity provider of {self._slug} looks for {self._name}, as providers do before they create "
            "somebody."
        )
        query = urlencode({"filter": f'userName eq "{self._name}"'})
        found = self._call(self._provider, "GET", f"/scim/v2/Users?{query}")
        named = [] if roles.first_name is None else [{"value": roles.first_name}]
        if found.body["totalResults"] == 0:
            self._say(f"Nobody has that name, so it creates her. {self._role_in_words(roles.first, roles.first_name)}")
            new = {
                "schemas": [_USER],
                "userName": self._name,
                "name": {"givenName": "Maria", "familyName": "Moss"},
                **({"roles": named} if named else {}),
            }
            return self._call(self._provider, "POST", "/scim/v2/Users", new, expect=201).body["id"]
        person = found.body["Resources"][0]
        self._say(
            "She has been here before and is inactive, so it reactivates her; nothing that was closed opens again. "
            if not person.get("active", True)
            else "She is here already and active, so it only sees to her role. "
        )
        operations = [{"op": "replace", "path": "active", "value": True}]
        if named:
            operations.append({"op": "replace", "path": "roles", "value": cast("Any", named)})
        return self._patch(person["id"], *operations).body["id"]

    def _signs_in(self, person: str) -> str:
        self._say("She signs in to your product, which opens a session for her here …")
        asked = {"tenant": self._slug, "person": person}
        opened = self._call(self._product, "POST", "/v1/sessions", asked, expect=201)
        self._say("… and asks with each of her requests whether the session is still good. It is.")
        self._introspect(opened.body["token"], active=True)
        return opened.body["token"]

    def _moves(self, person: str, session: str, roles: Roles) -> None:
        if roles.then is None:
            self._say("This tenant has no second role to give by name, so she stays what she is.")
            return
        self._say(f"She moves to another team. {self._role_in_words(roles.then, roles.then_name)}")
        self._patch(person, {"op": "replace", "path": "roles", "value": [{"value": roles.then_name}]})
        self._say("The same session says so from the next request on.")
        self._introspect(session, active=True)

    def _leaves(self, person: str, session: str) -> None:
        self._say("She leaves. Her company deactivates her with one click, and the provider says so:")
        self._patch(person, {"op": "replace", "path": "active", "value": False})
        self._say("When that was answered, every way in was closed already. The very next question:")
        self._introspect(session, active=False)

    def _is_proven(self, person: str, before: set[str]) -> None:
        self._say("A worker writes a receipt of what was closed and when, signed once everybody who had to know knows.")
        deadline = time.monotonic() + RECEIPT_SECONDS
        while True:
            new = [each for each in self._receipts(person) if each["id"] not in before and each["statement"]]
            if new:
                break
            if time.monotonic() > deadline:
                give_up(
                    f"No signed receipt within {RECEIPT_SECONDS} s. It is written as soon as relay and worker get to "
                    "it; see their logs, and 'rollcall doctor'."
                )
            time.sleep(0.2)
        receipt = new[0]
        self._show(CallAnswer(200, {name: receipt[name] for name in ("id", "arrived_at", "closed_at", "closed")}, 0))
        click.echo("   'rollcall receipts verify' checks its signature without asking anybody.")

    def _receipts(self, person: str) -> list[dict[str, Any]]:
        found = self._call(self._operator, "GET", f"/v1/tenants/{self._slug}/receipts", quiet=True).body
        account = self._account(person)
        every = next(cast("list[dict[str, Any]]", part) for part in found.values() if isinstance(part, list))
        return [receipt for receipt in every if receipt["person_id"] == account]

    def _account(self, person: str) -> str:
        query = urlencode({"user_name": self._name})
        found = self._call(self._operator, "GET", f"/v1/tenants/{self._slug}/people?{query}", quiet=True).body
        every = next(cast("list[dict[str, Any]]", part) for part in found.values() if isinstance(part, list))
        return next(each["id"] for each in every if each["scim_id"] == person)

    def _patch(self, person: str, *operations: Mapping[str, Any]) -> CallAnswer:
        return self._call(
            self._provider, "PATCH", f"/scim/v2/Users/{person}", {"schemas": [_PATCH], "Operations": list(operations)}
        )

    def _introspect(self, session: str, *, active: bool) -> None:
        answer = self._call(self._product, "POST", "/oauth/introspect", {"token": session}, form=True)
        if answer.body["active"] is not active:
            give_up(f"The session should be {'good' if active else 'dead'} by now; please report this as a bug.")

    def _call(
        self,
        caller: Caller,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        form: bool = False,
        expect: int = 200,
        quiet: bool = False,
    ) -> CallAnswer:
        """Call and show both; an answer that the story can't go on with ends the command."""
        if not quiet:
            click.secho(f"   {method} {path}", fg="cyan")
            if body is not None:
                click.echo(f"   {_short(dict(body) | ({'token': '…'} if 'token' in body else {}))}")
        answer = caller.ask(method, path, body, form=form)
        if not quiet or answer.status != expect:
            self._show(answer)
        if answer.status != expect:
            give_up(f"That was not to be expected: {caller.name} should have been answered {expect}.")
        return answer

    def _show(self, answer: CallAnswer) -> None:
        took = f" in {answer.milliseconds:.0f} ms" if answer.milliseconds else ""
        click.secho(f"   {answer.status}{took}  {_short(answer.body)}", fg="green" if answer.status < 400 else "red")

    def _say(self, words: str) -> None:
        self._step += 1
        click.echo()
        click.echo(textwrap.fill(f"{self._step:>2}. {words}", 100, subsequent_indent="    "))

    def _role_in_words(self, role: str, name: str | None) -> str:
        return f"Her role is {role}." if name is None else f"It calls her role {name}, which means {role} here."


def _short(body: Any) -> str:
    """A body in a line or two, without what opens anything."""
    if isinstance(body, dict):
        shown = cast("dict[str, Any]", body)
        body = {name: "…" if name == "token" else value for name, value in shown.items() if name not in _LEFT_OUT}
    text = json.dumps(body, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …"
