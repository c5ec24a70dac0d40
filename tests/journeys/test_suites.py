"""Other people's test suites against the running product."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

from journeys.conftest import Customer, Product


def test_scim_sanity(product: Product, customer: Customer) -> None:
    """scim-sanity, strict, finds nothing wrong with a tenant that has nobody but its admin.

    What it skips are the resources of a draft that it looks for and we don't serve.
    """
    results = scim_sanity(product.ready["scim_url"], customer.token["token"])

    assert Counter(result["status"] for result in results)["pass"] > 25
    wrong = [(result["name"], result["message"]) for result in results if result["status"] not in ("pass", "skip")]
    assert wrong == []
    assert all("Agent" in result["name"] for result in results if result["status"] == "skip")


def scim_sanity(url: str, token: str) -> list[dict[str, Any]]:
    """What scim-sanity finds, run as its documentation says."""
    options = ("--token", token, "--strict", "--json-output", "--i-accept-side-effects")
    command = [sys.executable, "-m", "scim_sanity", "probe", url, *options]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return json.loads(told.stdout)["results"]
