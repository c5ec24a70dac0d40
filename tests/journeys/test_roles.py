"""The story of a role: one at a time, and a conflict that is refused until somebody resolves it."""

from journeys.conftest import Customer


def test_a_conflict_is_refused_and_resolved(customer: Customer) -> None:
    """Two roles at once are refused whole; the case is open until the cause is gone, and then closes itself."""
    maria = customer.create("maria@acme.test", roles=["dart-guests"])

    refused = customer.patch(
        maria,
        {"op": "replace", "path": "displayName", "value": "Maria"},
        {"op": "add", "path": "roles", "value": [{"value": "dart-admins"}]},
    )
    assert refused.status_code == 400
    assert refused.json()["scimType"] == "invalidValue"
    assert "dart-admins" in refused.json()["detail"]
    assert "dart-guests" in refused.json()["detail"]
    assert "displayName" not in customer.scim.get(f"/Users/{maria['id']}").json()
    assert customer.ask(f"/people/{maria['id']}")["role"] == "guest"
    (case,) = customer.ask("/conflict-cases")["data"]
    assert case["user_id"] == maria["id"]
    assert case["times"] == 1

    resolved = customer.patch(maria, {"op": "replace", "path": "roles", "value": [{"value": "dart-admins"}]})
    assert resolved.status_code == 200
    assert customer.ask(f"/people/{maria['id']}")["role"] == "admin"
    assert customer.ask("/conflict-cases")["data"] == []
    assert customer.ask(f"/people/{maria['id']}/explain")["origin"] == "provider"


def test_somebody_new_with_two_roles_is_refused_until_one_is_left(customer: Customer) -> None:
    """A refused creation opens a case too, under the userName, and the creation that works closes it."""
    body = {"userName": "maria@acme.test", "roles": [{"value": "dart-guests"}, {"value": "dart-members"}]}
    assert customer.scim.post("/Users", json=body).status_code == 400
    (case,) = customer.ask("/conflict-cases")["data"]
    assert case["user_name"] == "maria@acme.test"

    customer.create("maria@acme.test", roles=[{"value": "dart-members"}])
    assert customer.ask("/conflict-cases")["data"] == []
