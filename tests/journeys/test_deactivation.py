"""The story of somebody who joins, moves, and leaves."""

from concurrent.futures import ThreadPoolExecutor

from journeys.conftest import Customer, Product


def test_somebody_joins_moves_and_leaves(product: Product, customer: Customer) -> None:
    """Their open session is refused at the first request after the provider said that they left."""
    config = customer.scim.get("/ServiceProviderConfig")
    assert config.json()["patch"]["supported"] is True
    look_up = {"filter": 'userName eq "maria@acme.test"'}
    assert customer.scim.get("/Users", params=look_up).json()["totalResults"] == 0

    maria = customer.create("maria@acme.test", externalId="00u1", roles=[{"value": "dart-guests"}])
    assert customer.scim.get("/Users", params=look_up).json()["Resources"][0]["id"] == maria["id"]
    assert customer.ask(f"/people/{maria['id']}")["role"] == "guest"

    moved = customer.patch(maria, {"op": "Replace", "path": "roles", "value": [{"value": "DART_MEMBER"}]})
    assert moved.status_code == 200
    assert customer.ask(f"/people/{maria['id']}")["role"] == "member"

    session = customer.session(maria).json()["token"]
    assert product.is_live(session)

    left = customer.deactivate(maria)
    assert left.status_code == 200
    assert left.json()["active"] is False
    assert not product.is_live(session)
    assert customer.session(maria).status_code == 409

    back = customer.patch(maria, {"op": "replace", "path": "active", "value": True})
    assert back.json()["active"] is True
    assert not product.is_live(session)


def test_deleting_closes_as_deactivating_does(product: Product, customer: Customer) -> None:
    """After DELETE the session is refused, the resource is gone, and the account and its history stay."""
    maria = customer.create("maria@acme.test", externalId="00u1")
    session = customer.session(maria).json()["token"]

    assert customer.scim.delete(f"/Users/{maria['id']}").status_code == 204

    assert not product.is_live(session)
    assert customer.scim.get(f"/Users/{maria['id']}").status_code == 404
    assert customer.ask(f"/people/{maria['id']}")["active"] is False
    again = customer.create("maria@acme.test", externalId="00u1")
    assert again["id"] != maria["id"]
    assert customer.ask(f"/people/{again['id']}")["id"] == maria["id"]
    assert not product.is_live(session)


def test_a_session_opened_at_the_moment_of_leaving(product: Product, customer: Customer) -> None:
    """Whichever of the two commits first, no session of somebody who left is good afterwards."""
    people = [customer.create(f"racer-{number}@acme.test") for number in range(30)]
    with ThreadPoolExecutor(8) as pool:
        opened = [(pool.submit(customer.session, each), pool.submit(customer.deactivate, each)) for each in people]
        tokens: list[str] = []
        for session, left in opened:
            assert left.result().status_code == 200
            assert session.result().status_code in (201, 409), session.result().text
            if session.result().status_code == 201:
                tokens.append(session.result().json()["token"])
    assert not any(product.is_live(token) for token in tokens)
    for each in people:
        assert customer.patch(each, {"op": "replace", "path": "active", "value": True}).status_code == 200
    assert not any(product.is_live(token) for token in tokens)


def test_the_audit_tells_the_story(customer: Customer) -> None:
    """Every call is one entry, with whose token it was and how it ended, and no secret in it."""
    maria = customer.create("maria@acme.test", password="correct horse")
    customer.deactivate(maria)
    customer.scim.get("/Users/nobody")

    entries = customer.ask("/audit", action="scim")["data"]
    told = [(entry["action"], entry["outcome"], entry["status"]) for entry in entries]
    assert told == [
        ("scim.users.read", "refused", 404),
        ("scim.users.patch", "done", 200),
        ("scim.users.create", "done", 201),
    ]
    assert {entry["owner_id"] for entry in entries} == {customer.admin["id"]}
    assert "user.deactivated" in entries[1]["events"]
    assert "correct horse" not in str(entries)
