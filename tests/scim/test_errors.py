"""Refusals as bodies, and pydantic's findings as refusals."""

import orjson
import pytest
from pydantic import ValidationError
from scim2_models import Context, Error

from rollcall.scim import errors
from rollcall.scim.errors import SCIMException, error_body, from_validation, shown
from rollcall.scim.resources import EnterpriseUser, User


@pytest.mark.parametrize(
    ("refusal", "status", "scim_type"),
    [
        (errors.InvalidFilter(), 400, "invalidFilter"),
        (errors.UnknownAttribute(), 400, "invalidFilter"),
        (errors.InvalidCursor(), 400, "invalidCursor"),
        (errors.ExpiredCursor(), 400, "expiredCursor"),
        (errors.InvalidCount(), 400, "invalidCount"),
        (errors.InvalidPath(), 400, "invalidPath"),
        (errors.InvalidSyntax(), 400, "invalidSyntax"),
        (errors.InvalidValue(), 400, "invalidValue"),
        (errors.Mutability(), 400, "mutability"),
        (errors.NoTarget(), 400, "noTarget"),
        (errors.TooMany(), 400, "tooMany"),
        (errors.Unauthorized(), 401, None),
        (errors.Forbidden(), 403, None),
        (errors.NotFound(), 404, None),
        (errors.MethodNotAllowed(("GET", "POST")), 405, None),
        (errors.Uniqueness("userName"), 409, "uniqueness"),
        (errors.PreconditionFailed(), 412, None),
        (errors.PayloadTooLarge(1_048_576), 413, None),
        (errors.TooManyOperations(1_000), 413, None),
        (errors.UnsupportedMediaType(), 415, None),
        (errors.TooManyRequests(3), 429, None),
        (errors.InternalError(), 500, None),
    ],
)
def test_body(refusal: SCIMException, status: int, scim_type: str | None) -> None:
    """Every refusal has a body that a SCIM client reads, with its status as a string and its keyword."""
    body = orjson.loads(error_body(refusal))
    assert body["status"] == str(status)
    assert body.get("scimType") == scim_type
    assert body["detail"]
    read = Error.model_validate(body, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    assert read.status == status


def test_facts_of_refusals() -> None:
    """Refusals carry what a response header needs."""
    assert errors.TooManyRequests(3).retry_after == 3
    assert errors.MethodNotAllowed(("GET", "PUT")).allow == ("GET", "PUT")


def test_not_found_is_always_the_same_answer() -> None:
    """Nothing can be learned from a 404: it has no room for an id."""
    assert error_body(errors.NotFound()) == error_body(errors.NotFound())
    with pytest.raises(TypeError):
        errors.NotFound(detail="2819c223")  # pyright: ignore[reportCallIssue]  # the point


def test_details_are_bounded_and_encodable() -> None:
    """However long or odd the words of a client are, the body is JSON of a sensible size."""
    body = error_body(errors.InvalidValue(detail="\ud800" + "x" * 100_000))
    assert len(body) < 2_000
    assert orjson.loads(body)["detail"].startswith("?xx")
    assert shown("a\x00b" + "c" * 200) == "'a\ufffdb" + "c" * 77 + "…'"


def _refused(payload: dict[str, object]) -> SCIMException:
    with pytest.raises(ValidationError) as refused:
        User.model_validate(payload, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
    return from_validation(refused.value)


def test_attribute_is_named_as_scim_names_it() -> None:
    """The detail names the attribute by its SCIM path, entries by index, extensions by URN."""
    assert str(_refused({"userName": "a", "emails": [{}, {"value": 5}]})).startswith("emails[1].value: ")
    assert str(_refused({"userName": "a", "name": {"givenName": 5}})).startswith("name.givenName: ")
    urn = str(EnterpriseUser.__schema__)
    refusal = _refused({"userName": "a", urn: {"manager": {"value": 5}}})
    assert str(refusal).startswith(f"{urn}:manager.value: ")
    assert refusal.scim_type == "invalidValue"


def test_most_telling_error_is_picked() -> None:
    """An unknown attribute is a matter of syntax, as the library has it."""
    assert _refused({"userName": "a", "nope": 1}).scim_type == "invalidSyntax"
    assert "userName" in str(_refused({"displayName": "Ada"}))


def test_no_value_is_echoed() -> None:
    """Neither a password nor any other value finds its way into a detail."""
    assert b"hunter2" not in error_body(_refused({"userName": "a", "password": {"hunter2": "hunter2"}}))
    assert b"hunter2" not in error_body(_refused({"userName": "a", "profileUrl": "hunter2"}))
    assert b"hunter2" not in error_body(_refused({"userName": ["hunter2"]}))
