"""The story of a plan that is paid, lost, closed and paid again, with one token throughout."""

from typing import Any

import httpx

from journeys.conftest import Customer, Product, eventually

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
LEAVES: dict[str, Any] = {"op": "replace", "path": "active", "value": False}


def set_plan(customer: Customer, plan: str) -> str:
    """Put the customer on a plan, as billing does; the state that it comes into."""
    answer = customer.product.operator.patch(f"/v1/tenants/{customer.slug}", json={"plan": plan})
    assert answer.status_code == 200, answer.text
    return answer.json()["lapse"]["state"]


def refused(answer: httpx.Response) -> str:
    """The detail of a refusal for the plan's sake."""
    assert answer.status_code == 403, answer.text
    assert "does not include SCIM" in answer.json()["detail"]
    assert "Business" in answer.json()["detail"]
    return answer.json()["detail"]


def test_a_plan_is_lost_and_comes_back(product: Product, customer: Customer) -> None:
    """The leaver is cut off, the joiner refused, what is mixed split; then all is closed; with the plan all is back."""
    maria, pedro, nina = (customer.create(f"{name}@{customer.slug}.test") for name in ("maria", "pedro", "nina"))
    members = [{"value": person["id"]} for person in (maria, pedro)]
    group = customer.scim.post("/Groups", json={"schemas": [GROUP], "displayName": "Sales", "members": members}).json()
    sessions = {person["id"]: customer.session(person).json()["token"] for person in (maria, pedro, nina)}
    assert set_plan(customer, "free") == "offboarding_only"

    for _ in range(10):  # by whichever process
        refused(customer.scim.post("/Users", json={"userName": f"joiner@{customer.slug}.test"}))
    assert customer.scim.get("/Users").json()["totalResults"] == 4
    assert customer.deactivate(maria).status_code == 200
    assert not product.is_live(sessions[maria["id"]])
    eventually(lambda: customer.receipts(maria))

    detail = refused(customer.patch(pedro, {"op": "add", "path": "title", "value": "Dr"}, LEAVES))
    assert "Done: the person was deactivated. Not done: title." in detail
    assert not product.is_live(sessions[pedro["id"]])

    operations: list[dict[str, Any]] = [
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"userName": f"bulk@{customer.slug}.test"}},
        {
            "method": "PATCH",
            "path": f"/Groups/{group['id']}",
            "data": {"Operations": [{"op": "remove", "path": "members"}]},
        },
        {"method": "PATCH", "path": f"/Users/{nina['id']}", "data": {"Operations": [LEAVES]}},
    ]
    answer = customer.scim.post("/Bulk", json={"schemas": [BULK], "Operations": operations})
    assert [each["status"] for each in answer.json()["Operations"]] == ["403", "200", "200"], answer.text
    assert not product.is_live(sessions[nina["id"]])
    assert "members" not in customer.scim.get(f"/Groups/{group['id']}").json()

    assert customer.tell("/lapse/close")["lapse"]["state"] == "closed"
    refused(customer.scim.get("/Users"))
    refused(customer.deactivate(pedro))

    assert set_plan(customer, "business") == "active"
    joiner = customer.create(f"joiner@{customer.slug}.test")
    assert customer.scim.get(f"/Users/{joiner['id']}").status_code == 200
    assert customer.patch(maria, {**LEAVES, "value": True}).json()["active"] is True
    assert not product.is_live(sessions[maria["id"]]), "coming back restores the person and no session"
