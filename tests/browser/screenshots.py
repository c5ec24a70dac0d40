"""Pictures of every page, light and dark, narrow and wide, of a company with a past: browser.screenshots FOLDER."""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from browser.chromium import Tab, browsing, chromium
from browser.lived_in import SLUG, PastCompany
from browser.served import Served, served

WIDTHS = (390, 1440)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take them all, or those whose name holds --only; says which page did not open."""
    parser = argparse.ArgumentParser(prog="browser.screenshots", description="Pictures of every page of the console.")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--only", default="", help="take those whose name holds this")
    parser.add_argument("--docs", action="store_true", help="take those that the docs show, as small files")
    wanted = parser.parse_args(arguments)
    program = chromium()
    if program is None:
        say("Chromium is missing; on Debian and Ubuntu: apt-get install chromium")
        return 1
    wanted.folder.mkdir(parents=True, exist_ok=True)
    settings = {"ROLLCALL_PRODUCT_NAME": "Dart", "ROLLCALL_UPGRADE_URL": "https://dart.example/upgrade"}
    with tempfile.TemporaryDirectory() as home, served(Path(home), **settings) as installation:
        company = PastCompany(installation)
        with browsing(program) as tab:
            take = _take_for_docs if wanted.docs else _take
            taken = sum(take(tab, wanted.folder, name) for name in walk(tab, company, installation, wanted.only))
    say(f"{taken} pictures are in {wanted.folder}")
    return 0


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def walk(tab: Tab, company: PastCompany, installation: Served, only: str) -> Iterator[str]:
    """Go to each page, and say what it is called."""
    console = installation.console
    tab.open(f"{console.removesuffix('/console')}/status")
    yield "status"
    tab.open(f"{console.removesuffix('/console')}/verify")
    yield "verify"
    tab.open(f"{console}/sign-in")
    yield "sign-in"
    for name, address in DOORS:
        tab.open(f"{console}{address}")
        yield name
    tab.open(f"{console}/sign-in")
    tab.type("#workspace", SLUG)
    tab.type("#code", installation.code(SLUG, company.admin["user_name"]))
    tab.follow(lambda: tab.ask("document.querySelector('#code').form.requestSubmit()"))
    for name, address in pages(company):
        if only in name:
            tab.open(f"{console}{address}")
            yield name
    yield from _forms(tab, console, only)
    yield from _of_operators(tab, installation, only)
    if only in "lapsed":
        company.lapse()
        for name, address in (("lapsed-plan", "/plan"), ("lapsed-overview", "/"), ("lapsed-tokens", "/tokens")):
            tab.open(f"{console}{address}")
            yield name


def _forms(tab: Tab, console: str, only: str) -> Iterator[str]:
    for name, address, selector in FORMS:
        if only in name:
            tab.open(f"{console}{address}")
            tab.ask("(document.querySelector('#role') ?? {}).value = 'guest'")
            tab.follow(lambda selector=selector: tab.click(selector))
            yield name


DOORS = (
    ("sign-in-password", "/sign-in/password"),
    ("contact", "/contact?link=rc_ses_example"),
    ("contact-refused", "/contact"),
)
"""Other pages for strangers, by a name."""


def _of_operators(tab: Tab, installation: Served, only: str) -> Iterator[str]:
    """The operators' pages, from the invitation on."""
    if not any(only in name for name in ("operators", *(name for name, _ in OPERATORS_PAGES))):
        return
    tab.plug_in_authenticator()
    tab.open(installation.invitation("grace@dart.example", "ops"))
    yield "operators-invitation"
    tab.follow(lambda: tab.click('form[action="/console/operators/invitation"] button'))
    yield "operators-passkey"
    tab.follow(lambda: tab.click("[data-passkey-button]"))
    for name, address in OPERATORS_PAGES:
        if only in name:
            tab.open(f"{installation.console}/operators{address}")
            yield name
    tab.open(f"{installation.console}/operators/tenants/{SLUG}")
    tab.type("#label", "Okta")
    tab.follow(lambda: tab.click('form[action$="/tokens"] button'))
    yield "operators-token-shown"
    tab.open(f"{installation.console}/operators/tenants/{SLUG}/view")
    tab.follow(lambda: tab.click('form[action$="/view"] button'))
    yield "operators-viewing"
    tab.follow(lambda: tab.click('form[action="/console/operators/stop-viewing"] button'))
    tab.follow(lambda: tab.click('form[action="/console/operators/sign-out"] button'))
    yield "operators-sign-in"


OPERATORS_PAGES = (
    ("operators-fleet", ""),
    ("operators-fleet-none", "?q=nobody"),
    ("operators-queues", "/queues"),
    ("operators-tenant", f"/tenants/{SLUG}"),
    ("operators-plan", f"/tenants/{SLUG}/plan?plan=free"),
    ("operators-suspend", f"/tenants/{SLUG}/suspend"),
    ("operators-pause", f"/tenants/{SLUG}/pause"),
    ("operators-nothing", "/tenants/nobody"),
)

FORMS = (
    ("roles-preview", "/roles?name=Engineering+Leads", 'form[action="/console/roles/map"] button'),
    ("setup-rehearsal", "/setup/okta/rehearse", 'form[action="/console/setup/okta/rehearse"] button'),
    ("token-shown", "/setup?provider=okta", 'form[action="/console/setup/token"] button'),
)
"""Pages that answer a form: a name, the page with the form, and the button to press."""


def pages(company: PastCompany) -> list[tuple[str, str]]:
    """Every page that has an address, by a name."""
    person, group = company.people[5]["id"], company.groups["dart-guests"]["id"]
    return [
        ("overview", "/"),
        ("setup", "/setup?provider=none"),
        ("setup-okta", "/setup?provider=okta"),
        ("tokens", "/tokens"),
        ("people", "/people"),
        ("person", f"/people/{person}"),
        ("person-left", f"/people/{company.people[455]['id']}"),
        ("person-end", f"/people/{person}/deactivate"),
        ("groups", "/groups"),
        ("group", f"/groups/{group}"),
        ("roles", "/roles"),
        ("roles-try", "/roles?name=Engineering+Leads"),
        ("roles-edit", "/roles/edit"),
        ("activity", "/activity"),
        ("activity-refused", "/activity?outcome=refused"),
        ("activity-export", "/activity/export?outcome=refused"),
        ("people-export", "/people/export"),
        ("setup-print", "/setup/okta/print"),
        ("setup-rehearse", "/setup/okta/rehearse"),
        ("token-revoke", f"/tokens/{company.token['id']}/revoke"),
        ("departures", "/departures"),
        ("account", "/account"),
        ("webhooks", "/webhooks"),
        ("webhook", f"/webhooks/{company.destination['id']}"),
        ("webhook-attempt", f"/webhooks/{company.destination['id']}/deliveries/{company.delivery}"),
        ("webhook-new", "/webhooks/new"),
        ("webhook-delete", f"/webhooks/{company.destination['id']}/delete"),
        ("plan", "/plan"),
        ("team", "/team"),
        ("person-new", "/people/new"),
        ("person-role", f"/people/{person}/role?role=guest"),
        ("token-take-over", f"/tokens/{company.left_behind['id']}/take-over"),
        ("nothing", "/nothing/here"),
    ]


def _take(tab: Tab, folder: Path, name: str) -> int:
    for width in WIDTHS:
        for dark in (False, True):
            file = folder / f"{re.sub('[^a-z-]', '', name)}-{width}-{'dark' if dark else 'light'}.png"
            tab.picture(file, width=width, dark=dark)
        if tab.ask(f"document.documentElement.scrollWidth > {width}"):
            say(f"{name} scrolls sideways at {width} pixels")
    return 2 * len(WIDTHS)


IN_DOCS = {
    "overview": (1440, False),
    "setup-okta": (1440, False),
    "person": (1440, False),
    "activity": (1440, True),
    "roles": (1440, False),
    "departures": (1440, False),
    "people": (390, False),
    "operators-fleet": (1440, False),
    "operators-tenant": (1440, True),
}
"""What the docs show, by the names of the pages: how wide, and whether dark."""


def _take_for_docs(tab: Tab, folder: Path, name: str) -> int:
    if name not in IN_DOCS:
        return 0
    width, dark = IN_DOCS[name]
    tab.picture(folder / f"{name}.webp", width=width, dark=dark, height=844 if width == min(WIDTHS) else 900)
    return 1


if __name__ == "__main__":
    sys.exit(main())
