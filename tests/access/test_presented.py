"""What a provider is told whose ``Authorization`` header is no live SCIM token: what is there, and what to change."""

from uuid import UUID, uuid4

import httpx
import pytest

from api.expect import refused
from factories import Callers, Tenant, a_tenant, in_process
from rollcall.crypto import TokenKind, length_of, new_token

FIELD = "the provider's field for the token (providers call it Secret Token, API Token, Bearer Token or Authorization)"
SEND = "Send 'Authorization: Bearer rc_scim_…'"
GOOD = new_token(TokenKind.SCIM, UUID(int=7), UUID(int=8))
"""A token as it is written; it is known nowhere."""

NOT_AT_THE_BEGINNING = (
    f"The Authorization header does not begin with the word Bearer. {SEND}: put the token into {FIELD}."
)
TWICE = (
    "The word Bearer comes twice: the provider adds it by itself. Put the token alone into its field, beginning with "
    "rc_scim_ and without the word Bearer."
)
LEFT_OUT = (
    "What follows Bearer is not a SCIM token: one begins with rc_scim_. If this one did, its beginning was left out: "
    "copy it again, whole."
)
BARE = (
    "The Authorization header holds a token without the word Bearer before it. This provider sends its field as it is: "
    "write 'Bearer ', with one space, in front of the token there."
)
BREAK = "There is a space or a line break in the token, or after it. Take it out of the provider's field."
QUOTES = "There are quotation marks around the token. Take them out of the provider's field."
CAPITALS = "The token was changed to capital letters. Copy it again as it was shown; it has none."
HIDDEN = (
    "This is a SCIM token as lists and logs show it, with its secret hidden. The whole token is shown once, when it is "
    "issued: put that one into the provider, or issue a new one."
)
MISTYPED = (
    "This SCIM token is mistyped: it has the right length, and its last seven characters don't fit the others. Copy it "
    "again; don't type it."
)


def missing(number: str) -> str:
    return (
        f"This SCIM token is cut off: {number} of 118 missing. Copy it again, whole; some fields and spreadsheets "
        "shorten what is pasted into them."
    )


def too_long(number: str) -> str:
    return f"This SCIM token is {number} too long; one has 118. Empty the field, and paste the token once."


def other_thing(what: str) -> str:
    return (
        f"This is {what}, not a SCIM token, and opens nothing here. Put a token that begins with rc_scim_ into the "
        "provider: an admin of the tenant or the vendor's support issues one."
    )


def scheme(name: str) -> str:
    return (
        f"The Authorization header says '{name}', and SCIM here takes a bearer token. {SEND}: choose the bearer token "
        "(HTTP header, OAuth bearer token) as the way the provider authenticates, not a user name and password."
    )


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        (
            None,
            (
                f"The request came without an Authorization header. {SEND}: put the token into {FIELD}. "
                "If it is there, something in between (a proxy) takes the header away."
            ),
        ),
        ("", f"The Authorization header is empty. {SEND}: put the token into {FIELD}."),
        (
            "Bearer",
            f"The Authorization header says Bearer, and no token follows. Put the token into {FIELD}, and save it.",
        ),
        (GOOD, BARE),
        (f'"{GOOD}"', BARE),
        (
            f"Bearer:{GOOD}",
            f"The Authorization header has to be the word Bearer, one space and the token, and nothing else. {SEND}.",
        ),
        ("Basic dXNlcjpwYXNzd29yZA==", scheme("Basic")),
        ("basic", scheme("Basic")),
        ("SSWS 00abcdef", scheme("SSWS")),
        ("hunter2", NOT_AT_THE_BEGINNING),
        (f"Bearer Bearer {GOOD}", TWICE),
        (f"bearer  BEARER {GOOD}", TWICE),
        (f"Bearer bearer: {GOOD}", TWICE),
        (
            f"Bearer Authorization: Bearer {GOOD}",
            (
                "The provider adds 'Authorization: Bearer' by itself, and its field holds the whole line. "
                "Put the token alone into it, beginning with rc_scim_."
            ),
        ),
        (f'Bearer "{GOOD}"', QUOTES),
        (f"Bearer <{GOOD}>", QUOTES),
        (f"Bearer {GOOD[:60]} {GOOD[60:]}", BREAK),
        (f"Bearer {GOOD}%0A", BREAK),
        (f"Bearer {GOOD}\\n", BREAK),
        (
            f"Bearer x={GOOD};",
            (
                "There is something around the token: 2 characters before it and 1 after it, perhaps invisible ones. "
                "Empty the provider's field, and paste the token alone."
            ),
        ),
        (
            f"Bearer {GOOD.upper()}",
            "The token was changed to capital letters. Copy it again as it was shown; it has none.",
        ),
        (f"Bearer {GOOD[:-1]}", missing("1 character is")),
        (f"Bearer {GOOD[:-20]}", missing("20 characters are")),
        ("Bearer rc_scim_", missing("110 characters are")),
        (f"Bearer {GOOD[:-1]}x{GOOD[-1]}", too_long("1 character")),
        (
            f"Bearer {GOOD}{GOOD[:8]}",
            (
                "There is something around the token: 0 characters before it and 8 after it, perhaps invisible ones. "
                "Empty the provider's field, and paste the token alone."
            ),
        ),
        ("Bearer " + "rc_scim_" * 500, too_long("3882 characters")),
        (f"Bearer {GOOD[:50]}{'0' if GOOD[50] != '0' else '1'}{GOOD[51:]}", MISTYPED),
        ("Bearer rc_scim_***", HIDDEN),
        ("Bearer rc_scim_0000...", HIDDEN),
        (f"Bearer {GOOD[3:]}", LEFT_OUT),
        ("Bearer sesame", LEFT_OUT),
        ("Bearer rc_", LEFT_OUT),
        ("Bearer whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", other_thing("the secret of a webhook (whsec_…)")),
        ("Bearer 0123A-4567B-89CDE-FGHJK", other_thing("a code for signing in to the console")),
        (
            "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
            other_thing("a JSON Web Token (eyJ…), which the provider has made or got elsewhere"),
        ),
    ],
)
async def test_what_is_no_token(http: httpx.AsyncClient, authorization: str | None, said: str) -> None:
    """Each thing that people put there is named, with what to change, and is not repeated."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await http.get("/scim/v2/Users", headers=headers)

    detail = refused(answer, 401)["detail"]
    assert detail.startswith(said), detail
    assert answer.headers["www-authenticate"] == 'Bearer realm="scim"'
    assert "hunter2" not in detail
    assert GOOD[20:40] not in detail.lower()


async def test_strange_bytes(http: httpx.AsyncClient) -> None:
    """Bytes that are no ASCII are told like anything that is no token."""
    answer = await http.get("/scim/v2/Users", headers=[(b"Authorization", b"Bearer rc_scim_\xe9\xff")])

    refused(answer, 401, saying="This SCIM token is cut off: 108 characters are of 118 missing")


def test_length() -> None:
    """Every SCIM token has the length that is told."""
    assert {len(new_token(TokenKind.SCIM, uuid4(), uuid4())) for _ in range(20)} == {length_of(TokenKind.SCIM)} == {118}


KINDS: list[tuple[TokenKind, str]] = [
    (TokenKind.OPERATOR, "an operator's key (rc_op_…)"),
    (TokenKind.APPLICATION, "an application key (rc_app_…)"),
    (TokenKind.PERSONAL, "a person's own token (rc_pat_…)"),
    (TokenKind.SESSION, "a session (rc_ses_…)"),
]


@pytest.mark.parametrize(("kind", "named"), KINDS)
@pytest.mark.parametrize("sent", ["Bearer {}", "{}", 'Bearer "{}"'])
async def test_other_kinds_of_keys(callers: Callers, kind: TokenKind, named: str, sent: str) -> None:
    """A key of another kind is named by its kind; whether it is live makes no difference to the answer."""
    tenant = await a_tenant(callers)
    live = {
        TokenKind.OPERATOR: lambda: key_of(callers.operator),
        TokenKind.APPLICATION: lambda: key_of(callers.product),
    }
    text = live[kind]() if kind in live else await personal(tenant, kind)
    made_up = new_token(kind, UUID(tenant.id), uuid4())
    details: list[str] = []
    for key in (text, made_up, made_up[:40]):
        async with httpx.AsyncClient(transport=in_process(callers.app), base_url=callers.base_url) as client:
            answer = await client.get(
                "/scim/v2/Users", headers={"Authorization": sent.format(key), "X-Request-Id": "one"}
            )
        details.append(refused(answer, 401)["detail"])

    assert details[0].startswith(other_thing(named) + " Whoever runs the provider has seen this one: have it replaced.")
    assert len(set(details)) == 1


def key_of(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"].removeprefix("Bearer ")


async def personal(tenant: Tenant, kind: TokenKind) -> str:
    if kind is TokenKind.SESSION:
        return await tenant.session(tenant.admin)
    return (await tenant.issue_token(scopes=["admin"], owner=tenant.admin["id"]))["token"]


async def test_unknown_to_us(callers: Callers) -> None:
    """A well-formed token that is not known is perhaps another installation's, and this one says its address."""
    async with callers.bearer(GOOD, path="/scim/v2") as client:
        detail = refused(await client.get("/Users"), 401)["detail"]

    assert detail.startswith(
        "This token is well-formed and not known here. Perhaps it is one of another installation (a test one, say): "
        "this one's SCIM base URL is http://rollcall.test/scim/v2. See that both are from the same place, or ask for a "
        "new token."
    )
