"""What the OpenAPI document says beyond what handlers and their types say by themselves."""

from typing import Any

from litestar.openapi.spec import SecurityScheme, Tag

from rollcall.api.v1.callers import ADMINS, ANYBODY, AUDITORS, OPS, PRODUCT

TITLE = "Rollcall management API"

DESCRIPTION = """\
Rollcall keeps your customers' user lists true: their identity providers say who joined, moved or left, and what they
may do follows at once.

This is the side for your product, your operators and your tenants' admins. Every call carries a key as bearer token:
`Authorization: Bearer rc_…`. Identity providers themselves speak SCIM 2.0 at `/scim/v2`.

A call that is refused changes nothing and is answered with a `code` for programs, a `detail` for people, and the
`request_id` under which the audit and the log have it.

A call that creates takes an `Idempotency-Key`, a name you choose for it: sent again with the same key within a day it
is answered as the first time, with `Idempotent-Replayed: true`, and done once.
"""

TAGS = [
    Tag("tenants", description="Customers, and the plans they are on. A plan change counts from the next call."),
    Tag("people", description="Who is in a tenant, in which role and why; letting people in, and out for good."),
    Tag("tokens", description="SCIM tokens and admins' own: shown once, rotated without downtime, ended at once."),
    Tag("roles", description="Which names from the identity provider mean which of your product's roles."),
    Tag("sessions", description="Your product opens a session when somebody signs in and may close it at any time."),
    Tag(
        "passkeys",
        description="WebAuthn for your people: your product carries the ceremonies between browser and here.",
    ),
    Tag(
        "external credentials",
        description="What your product gave its people, such as grants, keys and jobs: registered by name, it ends "
        "when they leave.",
    ),
    Tag(
        "destinations",
        description="Who outside hears what happens: webhooks and back-channel logout, signed, in order for each "
        "person, tried for three days. A tenant's own, and ops' that hear of every tenant.",
    ),
    Tag("receipts", description="The signed proof of each departure: what was closed when, and who was told when."),
    Tag(
        "alerts", description="What somebody should look at before it hurts, such as unusually many departures at once."
    ),
    Tag("billing", description="What payment providers say of customers, and asking them again."),
    Tag(
        "audit",
        description="What happened: who did what to whom, when, and how it ended; nothing can be taken out. Who was "
        "active on a day, in which role.",
    ),
    Tag(
        "introspection",
        description="Whether sessions and tokens are good at this moment (RFC 7662); ending one (RFC 7009).",
    ),
]
"""The groups of calls, in the order they are read."""

KEYS = {
    "operator": SecurityScheme(type="http", scheme="bearer", description="An operator key: ops of your company."),
    "application": SecurityScheme(type="http", scheme="bearer", description="An application key: your product."),
    "admin": SecurityScheme(
        type="http", scheme="bearer", description="A tenant admin's own token with the scope `admin`; for their tenant."
    ),
    "auditor": SecurityScheme(
        type="http",
        scheme="bearer",
        description="A tenant's token with the scope `auditor`: it reads, and reads no more.",
    ),
}
"""The kinds of keys there are."""

KEYS_BEHIND = {
    OPS: ("operator",),
    ADMINS: ("operator", "admin"),
    AUDITORS: ("operator", "admin", "auditor"),
    PRODUCT: ("operator", "application"),
    ANYBODY: ("operator", "application", "admin"),
}
"""Which keys pass a guard."""

OF = {"installation": "\n\nFor the installation's own destinations, which hear of every tenant."}
"""What is added to the description of a call that serves another owner elsewhere."""

PARAMETERS = {
    "tenant": "The tenant's id or slug.",
    "key": "What is overridden: a feature, `seats` or `seat_policy`.",
    "person": "The person's id in your product, or the one SCIM has for them.",
    "token": "The token's id.",
    "session": "The session's id.",
    "passkey": "The passkey's id.",
    "credential": "The registered credential's id.",
    "link": "The id of a link for a contact.",
    "destination": "The destination's id.",
    "delivery": "The delivery's id.",
    "state": "Only those that stand so.",
    "receipt": "The receipt's id.",
    "alert": "The alert's id.",
    "role": "Only who had this role at any moment of that day.",
    "everybody": "Those too who were not active.",
    "day": "A day of UTC, such as 2026-11-01.",
    "only_open": "Leave out those that are over.",
    "incomplete": "Only those that wait for a destination.",
    "limit": "How many to answer at most.",
    "cursor": "Where to continue: `next_cursor` of the page before.",
    "user_name": "Only the person with this userName.",
    "closed": "Those that are over instead of those that are open.",
    "action": "Only this action, such as `user.deactivated`; with `user` everything that begins with `user.`.",
    "outcome": "Only what was done, or only what was refused.",
    "actor": "Only what this key did.",
    "request_id": "Only what belongs to this request.",
    "since": "Only what happened at this time or later.",
    "until": "Only what happened before this time.",
    "days": "How many days to look back.",
}
"""What parameters mean; a name means the same wherever it stands."""

ANSWERS = {"200": "Done.", "201": "Made.", "202": "Taken; it is done soon.", "204": "Done; the answer is empty."}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Why a call was refused (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail", "param", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "where the page of codes explains this one"},
        "title": {"type": "string", "description": "what is true of every refusal with this code"},
        "status": {"type": "integer", "description": "the answer's status"},
        "code": {"type": "string", "description": "the kind of refusal, for programs; it does not change"},
        "detail": {"type": "string", "description": "what is wrong and what to do about it, for people"},
        "param": {
            "type": ["string", "null"],
            "description": "the field of the body or the parameter at fault, a path with dots; `body` for the whole",
        },
        "request_id": {"type": ["string", "null"], "description": "the request, as audit and log call it"},
    },
    "examples": [
        {
            "type": "https://rollcall.example/v1/errors#invalid",
            "title": "What was sent can't be read as what it should be",
            "status": 400,
            "code": "invalid",
            "detail": "rate_per_second: has to be a whole number",
            "param": "rate_per_second",
            "request_id": "9f1c2b…",
        }
    ],
}

OAUTH_ERROR: dict[str, Any] = {
    "type": "object",
    "title": "OAuthError",
    "description": "Why a call was refused (RFC 6749 §5.2). The request's id is in the header `X-Request-Id`.",
    "required": ["error", "error_description"],
    "properties": {
        "error": {"type": "string", "description": "the kind of refusal, for programs"},
        "error_description": {"type": "string", "description": "what is wrong and what to do about it, for people"},
    },
    "examples": [{"error": "invalid_client", "error_description": "This key is not known or has been revoked."}],
}

REFUSALS = {
    "400": "What was sent can't be read as what it should be; `detail` says where.",
    "401": "There is no key, or none that is live.",
    "403": "The key is live and does not reach this far.",
    "404": "There is no such row, or it is another tenant's, which is the same.",
    "409": "It does not fit the present state; `code` says why.",
    "413": "The body is longer than what is read.",
    "422": "The `Idempotency-Key` was used for another call; nothing was done.",
    "429": "So much of this is under way that more has to wait; `Retry-After` says for how many seconds.",
    "500": "Something went wrong on our side.",
    "503": "What is needed to answer is away or too busy; `Retry-After` says how many seconds to wait.",
}

_RULE = {
    "prefix": "acme-",
    "roles": {
        "admin": {"label": "Admin", "admin": True, "names": ["admins"]},
        "member": {"label": "Member", "names": ["members"], "aliases": ["Everybody"]},
    },
    "default": "member",
}

_CHALLENGE = "0192e7a4-5c1b-7d3e-8f60-1a2b3c4d5e6f"

_CREDENTIAL = {"id": "yQ3x…", "rawId": "yQ3x…", "type": "public-key"}

_ATTESTATION = {**_CREDENTIAL, "response": {"clientDataJSON": "eyJ0…", "attestationObject": "o2Nm…"}}

_ASSERTION = {
    **_CREDENTIAL,
    "response": {"clientDataJSON": "eyJ0…", "authenticatorData": "SZYN…", "signature": "MEUC…", "userHandle": "AZLn…"},
}

EXAMPLES: dict[str, Any] = {
    "NewTenant": {"slug": "acme", "name": "Acme", "plan": "business"},
    "TenantChange": {"plan": "enterprise"},
    "Pause": {"seconds": 3600},
    "NewOverride": {"value": 300, "reason": "until the new contract is signed", "ends_at": "2127-01-31T00:00:00Z"},
    "LapseDates": {"closes_at": "2027-03-31T00:00:00Z"},
    "NewPerson": {"user_name": "maria@acme.example", "display_name": "Maria Silva", "role": "member"},
    "RoleGiven": {"role": "admin"},
    "Deactivation": {"reason": "left the company"},
    "Linking": {"former": "0192e7a4-5c1b-7d3e-8f60-1a2b3c4d5e6f"},
    "TokenWanted": {"label": "Okta", "scopes": ["scim"]},
    "Rotation": {"overlap_seconds": 86400},
    "HandOver": {"owner": "0192e7a4-5c1b-7d3e-8f60-1a2b3c4d5e6f"},
    "DeputyNamed": {"person": "0192e7a4-5c1b-7d3e-8f60-1a2b3c4d5e6f"},
    "SessionWanted": {"tenant": "acme", "user_name": "maria@acme.example", "lifetime_seconds": 28800},
    "PortalLinkWanted": {"intent": "setup", "person": "maria@acme.example"},
    "RoleRule": _RULE,
    "DestinationWanted": {"url": "https://acme.example/hooks", "label": "CRM", "topics": ["user.deactivated"]},
    "DestinationChange": {"topics": ["user.deactivated", "user.reactivated"]},
    "SecretRotation": {"overlap_seconds": 86400},
    "ReplayWanted": {"since": "2026-11-30T09:30:00Z"},
    "PersonalTokenWanted": {"label": "laptop", "scopes": ["repo:read"]},
    "ExternalWanted": {"kind": "ssh_key", "name": "SHA256:9f1c2b", "label": "Maria's laptop"},
    "PasskeyMade": {"challenge": _CHALLENGE, "credential": _ATTESTATION, "label": "Maria's phone"},
    "SignInWanted": {"user_name": "maria@acme.example"},
    "SignInAnswered": {"challenge": _CHALLENGE, "credential": _ASSERTION, "lifetime_seconds": 28800},
}
"""A body for each thing that is sent, as one would send it."""

FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["token"],
                "properties": {"token": {"type": "string", "description": "the session or token in question"}},
            },
            "example": {"token": "rc_ses_…"},
        }
    },
}
"""How one credential is sent to ``/oauth``."""

MANY: dict[str, Any] = {
    "type": "object",
    "title": "Credentials",
    "description": "Sessions and tokens in question.",
    "required": ["tokens"],
    "properties": {"tokens": {"type": "array", "maxItems": 100, "items": {"type": "string"}}},
    "examples": [{"tokens": ["rc_ses_…", "rc_pat_…"]}],
}

MANY_ANSWERS: dict[str, Any] = {
    "type": "object",
    "title": "Introspections",
    "description": "What each is good for, in the order they were named.",
    "required": ["answers"],
    "properties": {"answers": {"type": "array", "items": {"$ref": "#/components/schemas/Introspection"}}},
}

INTROSPECTION_ANSWER: dict[str, Any] = {
    "type": "object",
    "title": "Introspection",
    "description": "What a credential is good for; with `active` false there is nothing else.",
    "required": ["active"],
    "properties": {
        "active": {"type": "boolean", "description": "whether it is good right now"},
        "token_type": {"type": "string", "enum": ["Bearer"], "description": "how it is presented (RFC 6750)"},
        "kind": {"type": "string", "enum": ["ses", "scim", "pat"], "description": "what it is: see its prefix `rc_…_`"},
        "jti": {"type": "string", "format": "uuid", "description": "its id"},
        "sid": {"type": "string", "format": "uuid", "description": "the session's id, if it is one"},
        "tenant": {"type": "string", "description": "the tenant's slug"},
        "tenant_id": {"type": "string", "format": "uuid"},
        "sub": {"type": "string", "format": "uuid", "description": "the person's id, if it is a person's"},
        "username": {"type": "string"},
        "role": {"type": "string", "description": "the person's role, read now"},
        "scope": {"type": "string", "description": "a token's scopes, with a space between"},
        "iat": {"type": "integer", "description": "when it was issued, in seconds since 1970"},
        "exp": {"type": "integer", "description": "when it ends, in seconds since 1970; left out if it does not"},
    },
}
