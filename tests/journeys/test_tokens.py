"""The stories of a plan that changes and of a token: its owner, its rotation, its end."""

import time

from journeys.conftest import Customer, Product


def test_the_plan_is_taken_away_and_given_back(product: Product, customer: Customer) -> None:
    """A plan change is felt at the very next call, on every web process, and says which plans include SCIM."""

    def set_plan(plan: str) -> None:
        answer = product.operator.patch(f"/v1/tenants/{customer.slug}", json={"plan": plan})
        assert answer.status_code == 200, answer.text

    set_plan("free")
    for _ in range(20):
        refused = product.provider(customer.token["token"]).post("/Users", json={"userName": "somebody"})
        assert refused.status_code == 403
        assert "Business" in refused.json()["detail"]
        assert "Enterprise" in refused.json()["detail"]

    set_plan("business")
    for _ in range(20):
        assert product.provider(customer.token["token"]).get("/Users").status_code == 200


def test_the_tokens_owner_is_demoted(customer: Customer) -> None:
    """The token stops at the next call and says why; with its owner an admin again it works again."""
    customer.tell(f"/people/{customer.admin['id']}/demote")
    refused = customer.scim.get("/Users")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert "no longer an active admin" in refused.json()["detail"]

    customer.tell(f"/people/{customer.admin['id']}/appoint")
    assert customer.scim.get("/Users").status_code == 200


def test_a_token_is_rotated_with_an_overlap(product: Product, customer: Customer) -> None:
    """Old and new work side by side until the overlap is over; then only the new one does."""
    new = customer.tell(f"/tokens/{customer.token['id']}/rotate", overlap_seconds=2)
    began = time.monotonic()
    successor = product.provider(new["token"])
    assert successor.get("/Users").status_code == 200
    assert customer.scim.get("/Users").status_code == 200

    time.sleep(max(0, began + 2.1 - time.monotonic()))
    refused = customer.scim.get("/Users")
    assert refused.status_code == 401
    assert "replaced" in refused.json()["detail"]
    assert successor.get("/Users").status_code == 200


def test_a_leaver_takes_their_tokens_along(product: Product, customer: Customer) -> None:
    """The SCIM token of an admin who leaves is dead at commit, also when the provider used it to say so."""
    assert customer.deactivate({"id": customer.admin["id"]}).status_code == 200
    refused = customer.scim.get("/Users")
    assert refused.status_code == 401
    assert not product.is_live(customer.token["token"])
    customer.tell(f"/people/{customer.admin['id']}/reactivate")
    assert customer.scim.get("/Users").status_code == 401
