"""What the pages' scripts say: they find it in the page, in its language, and hold no words of their own."""

import json
from collections.abc import Mapping

from markupsafe import Markup

from rollcall.console.words import gettext, mark

PASSKEYS = {
    "answered": mark("The server answered %(status)s. Try again in a while."),
    "NotAllowedError": mark(
        "Nothing was done: it was called off, took too long, or this device holds no fitting passkey."
    ),
    "InvalidStateError": mark("This device holds a passkey of yours already."),
    "SecurityError": mark("The browser gives this address no passkeys. Whoever runs Rollcall can see to that."),
    "signing": mark("Signing in …"),
    "adding": mark("Adding the passkey …"),
    "asking": mark("Your browser or device asks you now."),
    "elsewhere": mark("Passkeys work at %(origin)s only. Open the console there."),
    "none": mark("This browser has no passkeys."),
}
FACTS = {
    "person": mark("Person"),
    "company": mark("Company"),
    "asked": mark("Asked for at"),
    "closed": mark("Closed at"),
    "later": mark("%(moment)s, %(seconds)s s later"),
    "what": mark("What was closed"),
    "nothing": mark("nothing was open"),
    "destinations": mark("Destinations"),
    "told": mark("%(number)s, all told within %(seconds)s s"),
    "not_told": mark("%(number)s, not all told within %(seconds)s s"),
    "none": mark("none had to be told"),
    "reason": mark("Reason"),
    "signed": mark("Signed by"),
    "receipt": mark("Receipt"),
}
"""What a receipt says, for people."""

VERIFY = FACTS | {
    "here": mark("It is verified in this browser, and sent nowhere."),
    "was_here": mark("It was checked in this browser, and sent nowhere."),
    "changed": mark("The signature does not fit: the receipt has been changed after it was signed."),
    "no_line": mark("This is no receipt: a signed one is a line of letters, digits, dots, - and _."),
    "longer": mark("This is no receipt: it is longer than any."),
    "no_json": mark("This is no receipt: it begins like JSON and is none."),
    "not_signed": mark("This receipt is not signed: it is not complete yet, or it is no receipt."),
    "revoked": mark(
        "The key that signed it was revoked (%(moment)s): others may have had it, so what it signed proves nothing, "
        "whichever day it names."
    ),
    "no_key": mark("The key that signed it is none of this installation's: somebody else signed it."),
    "no_head": mark("This is no receipt: it does not begin as a signed one does."),
    "cut_off": mark("This is no receipt: it is cut off, or says too much."),
    "algorithm": mark("Not signed as receipts are: the algorithm has to be ES256 or RS256."),
    "type": mark("This is no receipt: its type has to be receipt+jwt."),
    "no_object": mark("This is no receipt: what was signed is no JSON object."),
    "too_little": mark("This is no receipt: it does not say what they say."),
}
_OF = {"passkeys": PASSKEYS, "verify": VERIFY}


def words_for(script: str) -> Markup:
    """The attribute in which a script finds what it says."""
    return Markup(' data-words="{}"').format(_as_json(_OF[script]))


def _as_json(said: Mapping[str, str]) -> str:
    return json.dumps({key: gettext(message) for key, message in said.items()}, ensure_ascii=False)
