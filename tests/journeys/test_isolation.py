"""The story of two customers who never notice each other."""

from concurrent.futures import ThreadPoolExecutor

from journeys.conftest import Customer, Product

PEOPLE = 200


def test_the_same_user_name_in_two_tenants(product: Product) -> None:
    """Two tenants have each a maria; nothing that happens to one touches the other."""
    here, there = product.customer(), product.customer()
    ours = here.create("maria@example.test", externalId="1")
    theirs = there.create("maria@example.test", externalId="1")
    session = there.session(theirs).json()["token"]

    assert there.scim.get(f"/Users/{ours['id']}").status_code == 404
    assert there.patch(ours, {"op": "replace", "path": "active", "value": False}).status_code == 404
    assert here.deactivate(ours).status_code == 200

    assert product.is_live(session)
    assert there.scim.get(f"/Users/{theirs['id']}").json()["active"] is True


def test_two_tenants_create_and_change_at_the_same_moment(product: Product) -> None:
    """Two hundred people each, through two web processes at once: nothing crosses, nothing is lost."""
    customers = (product.customer(), product.customer())
    assert len(product.processes("web")) >= 3, "a supervisor and two web processes"

    def live(job: tuple[Customer, int]) -> tuple[str, str]:
        customer, number = job
        person = customer.create(f"person-{number}@example.test", externalId=f"{customer.slug}/{number}")
        changed = customer.patch(person, {"op": "add", "path": "displayName", "value": f"{customer.slug} {number}"})
        assert changed.status_code == 200, changed.text
        return customer.slug, person["id"]

    jobs = [(customer, number) for number in range(PEOPLE) for customer in customers]
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(live, jobs))

    for customer in customers:
        found = everybody(customer)
        own = {person_id for slug, person_id in made if slug == customer.slug}
        assert {person["id"] for person in found if "externalId" in person} == own
        assert len(own) == PEOPLE
        for person in found:
            if "externalId" in person:
                assert person["externalId"].startswith(f"{customer.slug}/")
                assert person["displayName"] == person["externalId"].replace("/", " ")


def everybody(customer: Customer) -> list[dict[str, str]]:
    """All of a tenant's people, page by page."""
    found: list[dict[str, str]] = []
    while True:
        page = customer.scim.get("/Users", params={"startIndex": len(found) + 1, "count": 100}).json()
        found += page["Resources"]
        if len(found) >= page["totalResults"]:
            return found
