"""The public page that verifies a receipt, in a real browser: by its script, from a file, and without scripts."""

import json
from pathlib import Path
from time import monotonic, sleep

import pytest

from browser.chromium import Tab
from browser.served import Served
from browser.test_console import Company, company, quiet

__all__ = ["company"]

SENT = "performance.getEntriesByType('resource').map((it) => it.name).filter((it) => it.endsWith('/verify'))"


def a_receipt(company: Company, installation: Served, *, within: float = 120) -> str:
    """The signed receipt of somebody who left the company, which nobody has to be told."""
    deadline = monotonic() + within
    with installation.operator() as operator:
        maria = operator.post(
            f"/v1/tenants/{company.slug}/people", json={"user_name": f"maria@{company.slug}.example"}
        ).raise_for_status()
        left = operator.post(f"/v1/tenants/{company.slug}/people/{maria.json()['id']}/deactivate")
        left.raise_for_status()
        while monotonic() < deadline:
            rows = operator.get(f"/v1/tenants/{company.slug}/receipts").raise_for_status().json()["data"]
            if rows and rows[0]["statement"]:
                return rows[0]["statement"]
            sleep(0.1)
    pytest.fail("no receipt was signed")


def choose_file(tab: Tab, file: Path) -> None:
    """Choose a file in the page's form."""
    root = tab.call("DOM.getDocument")["root"]["nodeId"]
    field = tab.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    tab.call("DOM.setFileInputFiles", nodeId=field, files=[str(file)])


def changed(statement: str) -> str:
    """The receipt with one byte of its signature changed."""
    place = statement.rindex(".") + 9
    return statement[:place] + ("B" if statement[place] != "B" else "C") + statement[place + 1 :]


def test_in_the_browser(tab: Tab, company: Company, installation: Served, tmp_path: Path) -> None:
    """Pasted or chosen, a receipt is verified in the browser; one changed by a byte is not genuine."""
    statement = a_receipt(company, installation)
    with quiet(tab):
        tab.open(installation.console.replace("/console", "/verify"))
        tab.ask(f"document.querySelector('#statement').value = {json.dumps(statement)}; window.here = true")
        tab.click("[data-verify] button")
        tab.until("document.querySelector('#result').innerText.includes('This receipt is genuine')")
        assert f"maria@{company.slug}.example" in tab.text()
        assert "checked in this browser" in tab.text()
        assert tab.ask("document.activeElement.id") == "result"

        (tmp_path / "receipt.jws").write_text(changed(statement))
        choose_file(tab, tmp_path / "receipt.jws")
        tab.click("[data-verify] button")
        tab.until("document.querySelector('#result').innerText.includes('This receipt is not genuine')")

        assert "changed after it was signed" in tab.text()
        assert "What to do" in tab.text()
        assert tab.ask("window.here")
        assert tab.ask(SENT) == []


def test_without_scripts(tab: Tab, company: Company, installation: Served) -> None:
    """With scripts off the server says the same, of a good receipt and of a changed one."""
    statement = a_receipt(company, installation)
    tab.scripts(on=False)
    for text, said in ((statement, "This receipt is genuine"), (changed(statement), "This receipt is not genuine")):
        tab.open(installation.console.replace("/console", "/verify"))
        tab.ask(f"document.querySelector('#statement').value = {json.dumps(text)}")
        tab.follow(lambda: tab.click("[data-verify] button"))
        assert said in tab.text()
        assert "not kept" in tab.text()
