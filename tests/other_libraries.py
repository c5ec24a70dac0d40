"""What a library that nobody here wrote makes of what Rollcall signs."""

import warnings
from typing import Any

from authlib.deprecate import AuthlibDeprecationWarning  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

with warnings.catch_warnings():
    # authlib 1.9 warns at every import of its JOSE part and wants joserfc used instead; there is no other way to it.
    # Rollcall signs with joserfc, so that one is no stranger. authlib 2 will be without this part.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    from authlib.jose import JsonWebKey, JsonWebToken  # pyright: ignore[reportMissingTypeStubs]  # as above


def read_by_authlib(statement: str, keys: dict[str, Any], **rules: Any) -> Any:
    """The claims of a signed statement, checked with these public keys; ES256 and RS256 are believed."""
    reader: Any = JsonWebToken(["ES256", "RS256"])
    known: Any = JsonWebKey.import_key_set(keys)  # pyright: ignore[reportUnknownMemberType]  # it ships no types
    return reader.decode(statement, known, **rules)
