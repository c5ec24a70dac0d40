"""Editing the role rule in the console: previewed in numbers, applied exactly so, or shown anew."""

import re
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest

from console.conftest import Browser, signed_in
from console.test_portal import a_link, entered
from factories import DART_RULE, Tenant, patch_op
from rollcall.console.role_edit import consequences
from rollcall.directory.roles import Foreseen

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


async def a_group(tenant: Tenant, name: str, *people: dict[str, Any]) -> dict[str, Any]:
    """A group that the provider pushes, with these people in it."""
    members = [{"value": each["id"]} for each in people]
    answer = await tenant.scim.post("/Groups", json={"schemas": [GROUP], "displayName": name, "members": members})
    assert answer.status_code == 201, answer.text
    return answer.json()


class Form(HTMLParser):
    """What the form of the rule sends as it stands; a box sends its value if it is ticked."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, Any] = {}
        self._textarea: str | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a field up."""
        said = dict(attrs)
        name, value = said.get("name") or "", said.get("value") or ""
        match tag:
            case "input" if said.get("type") == "checkbox" and "checked" in said:
                self.fields.setdefault(name, []).append(value)
            case "input" if name and said.get("type") != "checkbox":
                self.fields[name] = value
            case "textarea":
                self._textarea, self.fields[name] = name, ""
            case "select":
                self._select = name
            case "option" if "selected" in said:
                self.fields[self._select] = value
            case _:
                pass

    def handle_endtag(self, tag: str) -> None:
        """A textarea ends."""
        self._textarea = None if tag == "textarea" else self._textarea

    def handle_data(self, data: str) -> None:
        """What is in a textarea."""
        if self._textarea is not None:
            self.fields[self._textarea] += data


def fields_of(page: str) -> dict[str, Any]:
    """What the form of the rule sends as it stands."""
    form = Form()
    form.feed(page[page.index("<main") :])
    del form.fields["_csrf_token"]
    return form.fields


def hidden(page: str, name: str) -> str:
    """A hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1].replace("&#34;", '"').replace("&amp;", "&")


async def rule_of(tenant: Tenant) -> dict[str, Any]:
    """The rule in force."""
    return (await tenant.callers.operator.get(f"{tenant.v1}/role-rule")).json()


async def role_of(tenant: Tenant, person: dict[str, Any]) -> str:
    """The role that a person has now."""
    return (await tenant.callers.operator.get(f"{tenant.v1}/people/{person['id']}")).json()["role"]


async def test_preview_and_apply(browser: Browser, acme: Tenant) -> None:
    """The preview says who gets which role and changes nothing; applied, exactly that comes true."""
    maria = await acme.person("maria@acme.test", roles=[{"value": "dart-guests"}])
    await acme.person("noor@acme.test", roles=[{"value": "dart-members"}])
    await signed_in(browser, acme, acme.admin)
    fields = fields_of((await browser.open("/console/roles/edit")).text)
    place = next(name[6:] for name, value in fields.items() if name.startswith("label-") and value == "Guest")
    fields[f"names-{place}"] = ""
    financial = next(name[6:] for name, value in fields.items() if name.startswith("label-") and "Financial" in value)
    fields[f"names-{financial}"] = "financial-admins\nguests"

    shown = await browser.send("/console/roles/preview", **fields)

    assert shown.status_code == 200, shown.text
    assert "1 person gets another role" in shown.text
    assert "Guest" in shown.text
    assert "Financial admin" in shown.text
    assert "maria@acme.test" in shown.text
    assert "noor@acme.test" not in shown.text
    assert await role_of(acme, maria) == "guest"

    done = await browser.send(
        "/console/roles/apply", rule=hidden(shown.text, "rule"), shown=hidden(shown.text, "shown")
    )
    assert "The rule is saved" in (await browser.follow(done)).text
    assert await role_of(acme, maria) == "financial-admin"


async def test_the_world_moved(browser: Browser, acme: Tenant) -> None:
    """If somebody's names changed since the preview nothing is done, and the preview is shown anew."""
    maria = await acme.person("maria@acme.test", roles=[{"value": "players"}])
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/roles", name="players")
    shown = (await browser.send("/console/roles/map", name="players", role="guest")).text
    assert "1 person gets another role" in shown
    await acme.person("noor@acme.test", roles=[{"value": "Players"}])
    before = await rule_of(acme)

    again = await browser.send("/console/roles/apply", rule=hidden(shown, "rule"), shown=hidden(shown, "shown"))

    assert again.status_code == 409
    assert "changed since the last preview" in again.text
    assert "2 people get another role" in again.text
    assert await rule_of(acme) == before
    assert await role_of(acme, maria) == "member"
    done = await browser.send(
        "/console/roles/apply", rule=hidden(again.text, "rule"), shown=hidden(again.text, "shown")
    )
    assert done.status_code == 303
    assert await role_of(acme, maria) == "guest"


async def test_another_edit_in_between(browser: Browser, acme: Tenant) -> None:
    """An edit by somebody else since the preview is not undone unseen, even if it concerns nobody."""
    await signed_in(browser, acme, acme.admin)
    await browser.open("/console/roles", name="players")
    shown = (await browser.send("/console/roles/map", name="players", role="guest")).text
    edited = {**DART_RULE, "on_conflict": "hold"}
    assert (await acme.callers.operator.put(f"{acme.v1}/role-rule", json=edited)).status_code == 200

    again = await browser.send("/console/roles/apply", rule=hidden(shown, "rule"), shown=hidden(shown, "shown"))

    assert again.status_code == 409
    assert (await rule_of(acme))["rule"]["on_conflict"] == "hold"


async def test_mapping_a_group(browser: Browser, acme: Tenant) -> None:
    """A group without the prefix is given a role by hand, from its page, and its people get it."""
    maria = await acme.person("maria@acme.test")
    group = await a_group(acme, "Engineering Leads", maria)
    await signed_in(browser, acme, acme.admin)
    page = (await browser.open(f"/console/groups/{group['id']}")).text
    assert "It means no role here" in page
    assert "Nobody would get another role" in page

    shown = (await browser.send("/console/roles/map", name="Engineering Leads", role="guest")).text
    assert "1 person gets another role" in shown
    await browser.send("/console/roles/apply", rule=hidden(shown, "rule"), shown=hidden(shown, "shown"))

    assert await role_of(acme, maria) == "guest"
    page = (await browser.open(f"/console/groups/{group['id']}")).text
    assert "Who is in it is Guest" in page
    assert "1 person would get another role" in page


async def test_what_is_wrong_is_at_its_field(browser: Browser, acme: Tenant) -> None:
    """What can't be a rule is said where it is wrong, with all that was typed still there; nothing changes."""
    await signed_in(browser, acme, acme.admin)
    fields = fields_of((await browser.open("/console/roles/edit")).text)
    wrong = await browser.send("/console/roles/preview", **{**fields, "prefix": "-"})
    assert wrong.status_code == 400
    assert 'aria-describedby="prefix-wrong' in wrong.text
    assert "would match too much" in wrong.text
    default = await browser.send("/console/roles/preview", **{**fields, "default": "admin"})
    assert default.status_code == 400
    assert "is an admin role" in default.text
    twice = await browser.send("/console/roles/preview", **{**fields, "names-1": "admins"})
    assert twice.status_code == 400
    assert "is given to two roles" in twice.text
    assert (await browser.send("/console/roles/apply", rule="{", shown="x")).status_code == 400
    assert (await browser.send("/console/roles/map", name="x", role="wizard")).status_code == 400


@pytest.mark.parametrize("address", ["/console/roles/apply", "/console/roles/edit"])
async def test_a_rule_that_nobody_made(browser: Browser, acme: Tenant, address: str) -> None:
    """What no page of ours hands on is refused, and not tried: brackets too deep, a number too long."""
    await signed_in(browser, acme, acme.admin)
    fields = fields_of((await browser.open("/console/roles/edit")).text)
    for rule in ("[" * 60_000, '{"a":' * 20_000, "9" * 60_000, "[1]"):
        refused = await browser.send(address, rule=rule, shown="x")
        assert refused.status_code == 400, rule[:9]
        assert "holds no rule any more" in refused.text
    many = await browser.send("/console/roles/preview", **{**fields, "lines": "9" * 60_000})
    assert many.status_code == 400


async def test_adding_and_removing_a_role(browser: Browser, acme: Tenant) -> None:
    """A new role gets a key of its own; a role that is removed gives those who have it the default one."""
    maria = await acme.person("maria@acme.test", roles=[{"value": "dart-guests"}])
    await signed_in(browser, acme, acme.admin)
    fields = fields_of((await browser.open("/console/roles/edit")).text)
    new = str(int(fields["lines"]) - 1)
    place = next(name[6:] for name, value in fields.items() if name.startswith("label-") and value == "Guest")

    shown = await browser.send(
        "/console/roles/preview",
        **{**fields, f"label-{new}": "Night Auditor", f"names-{new}": "auditors", f"remove-{place}": "yes"},
    )
    assert "1 person gets another role" in shown.text
    await browser.send("/console/roles/apply", rule=hidden(shown.text, "rule"), shown=hidden(shown.text, "shown"))

    rule = (await rule_of(acme))["rule"]
    assert rule["roles"]["night-auditor"]["names"] == ["auditors"]
    assert "guest" not in rule["roles"]
    assert await role_of(acme, maria) == "member"


async def test_taking_ones_own_rights(browser: Browser, acme: Tenant) -> None:
    """An edit that would take an admin's own rights says so beforehand; once it is saved they are out."""
    names = patch_op({"op": "add", "path": "roles", "value": [{"value": "dart-admin"}]})
    await acme.scim.patch(f"/Users/{acme.admin['id']}", json=names)
    await signed_in(browser, acme, acme.admin)
    fields = fields_of((await browser.open("/console/roles/edit")).text)
    place = next(name[6:] for name, value in fields.items() if name.startswith("label-") and value == "Admin")
    other = next(name[6:] for name, value in fields.items() if name.startswith("label-") and value == "Guest")
    del fields[f"admin-{place}"]
    fields[f"admin-{other}"] = "yes"

    shown = (await browser.send("/console/roles/preview", **fields)).text

    assert "You are one of them" in shown
    assert "1 person is no longer an admin" in shown
    sent = await browser.send("/console/roles/apply", rule=hidden(shown, "rule"), shown=hidden(shown, "shown"))
    assert sent.status_code == 303
    assert (await browser.open("/console/roles")).status_code == 403


async def test_a_role_that_becomes_an_admins(browser: Browser, acme: Tenant) -> None:
    """Who becomes an admin by a tick at their role is named; whoever got the role since the preview is not made one."""
    await acme.person("maria@acme.test", roles=[{"value": "dart-guests"}])
    await signed_in(browser, acme, acme.admin)
    fields = fields_of((await browser.open("/console/roles/edit")).text)
    place = next(name[6:] for name, value in fields.items() if name.startswith("label-") and value == "Guest")
    shown = (await browser.send("/console/roles/preview", **{**fields, f"admin-{place}": "on"})).text
    assert "1 person becomes an admin." in shown
    assert "maria@acme.test" in shown
    assert "Becomes an admin" in shown
    noor = await acme.person("noor@acme.test", roles=[{"value": "dart-guests"}])

    again = await browser.send("/console/roles/apply", rule=hidden(shown, "rule"), shown=hidden(shown, "shown"))

    assert again.status_code == 409
    assert "2 people become admins." in again.text
    assert "noor@acme.test" in again.text
    at_v1 = await acme.callers.operator.get(f"{acme.v1}/people/{noor['id']}")
    assert at_v1.json()["is_admin"] is False
    done = await browser.send(
        "/console/roles/apply", rule=hidden(again.text, "rule"), shown=hidden(again.text, "shown")
    )
    assert done.status_code == 303


def test_consequences_in_numbers() -> None:
    """The preview says how many lose and gain the rights of an admin, have a case, and follow later."""
    ids = [uuid4(), uuid4()]
    many = Foreseen("x", {("guest", "member"): 12_000}, 3, 1, ids, [])
    said = [sentence for _, sentence in consequences(many)]
    assert said[0].startswith("2 people are no longer an admin")
    assert said[1] == "1 person becomes an admin."
    assert said[2].startswith("3 people have names that contradict each other")
    assert said[3].startswith("They are many")
    assert consequences(Foreseen("x", {("guest", "member"): 12}, 0, 0, [], [])) == []


async def test_cases_say_what_to_do(browser: Browser, acme: Tenant) -> None:
    """An unknown name leads to where it can be given a role; with that the case is over."""
    await acme.person("maria@acme.test", roles=[{"value": "dart-wizards"}])
    await signed_in(browser, acme, acme.admin)
    page = (await browser.open("/console/roles")).text
    assert "Unknown name" in page
    assert 'href="/console/roles?name=dart-wizards#try"' in page

    await browser.open("/console/roles", name="dart-wizards")
    shown = (await browser.send("/console/roles/map", name="dart-wizards", role="guest")).text
    await browser.send("/console/roles/apply", rule=hidden(shown, "rule"), shown=hidden(shown, "shown"))

    assert "No role names need a look" in (await browser.open("/console/roles")).text


async def test_by_a_link(browser: Browser, acme: Tenant) -> None:
    """Who came by a link for roles edits the rule, and is led to no page that the link does not open."""
    maria = await acme.person("maria@acme.test", roles=[{"value": "players"}])
    await a_group(acme, "Players", maria)
    await entered(browser, await a_link(acme, "roles"))
    page = (await browser.open("/console/roles")).text
    assert "/console/people/" not in page
    assert "/console/groups" not in page
    shown = (await browser.send("/console/roles/map", name="players", role="guest")).text
    assert "/console/people/" not in shown
    done = await browser.send("/console/roles/apply", rule=hidden(shown, "rule"), shown=hidden(shown, "shown"))
    assert done.status_code == 303


async def test_groups(browser: Browser, acme: Tenant, other: Tenant) -> None:
    """Groups are listed with members and role; one of another tenant is not found."""
    maria, noor = await acme.person("maria@acme.test"), await acme.person("noor@acme.test")
    empty = await browser_on_groups(browser, acme)
    assert "No groups yet" in empty
    group = await a_group(acme, "dart-guests", maria, noor)
    outer = await acme.scim.post(
        "/Groups", json={"schemas": [GROUP], "displayName": "Everybody", "members": [{"value": group["id"]}]}
    )
    theirs = await a_group(other, "Theirs")
    page = (await browser.open("/console/groups")).text
    assert "dart-guests" in page
    assert "Guest" in page
    one = (await browser.open(f"/console/groups/{group['id']}")).text
    assert "2 people would get another role" in one
    assert "maria@acme.test" in one
    whole = (await browser.open(f"/console/groups/{outer.json()['id']}")).text
    assert "Nobody would get another role" in whole
    assert "dart-guests" in whole
    assert (await browser.open(f"/console/groups/{theirs['id']}")).status_code == 404
    assert (await browser.open("/console/groups/nonsense")).status_code == 404
    assert (await browser.open("/console/groups", cursor="nonsense")).status_code == 400


async def browser_on_groups(browser: Browser, tenant: Tenant) -> str:
    """The page of groups, for the tenant's admin."""
    await signed_in(browser, tenant, tenant.admin)
    return (await browser.open("/console/groups")).text
