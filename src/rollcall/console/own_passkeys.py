"""My passkeys: add one, remove one."""

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, Field

from rollcall.access import passkey_sign_in, passkeys, sessions
from rollcall.access.authenticators import RelyingParty
from rollcall.access.console_sessions import hold
from rollcall.console.confirming import Confirmation, confirmation_page
from rollcall.console.own import id_of, section
from rollcall.console.requests import AnyRequest, json_answer, see
from rollcall.console.visitors import PersonWork, fresh_person_work, signed_in, visitor, work_of
from rollcall.console.words import gettext, ngettext
from rollcall.errors import Conflict, NotFound, Refusal
from rollcall.work import Work


class PasskeyMade(BaseModel):
    """What the authenticator made of a registration."""

    challenge: UUID
    credential: dict[str, Any]
    label: str = Field(default="", max_length=200)


@post(
    "/account/passkeys/begin",
    status_code=200,
    guards=[signed_in],
    dependencies={"work": fresh_person_work},
    name="console_begin_passkey",
)
async def begin_passkey(request: Request[Any, Any, Any], work: PersonWork) -> Response[dict[str, Any]]:
    """Begin making a passkey."""
    begun = await passkeys.begin_registration(work, _party(request), visitor(request).account_id)
    return json_answer({"challenge": str(begun.id), "options": begun.options})


async def registration_work(request: Request[Any, Any, Any], data: JSONBody[PasskeyMade]) -> AsyncGenerator[Work]:
    """The work of a registration's second half: refused or not, the challenge is spent."""

    async def also(work: Work, refusal: Refusal) -> None:
        await passkey_sign_in.after_refusal(work, data.challenge, refusal)

    async with work_of(request, also) as work:
        await hold(work, visitor(request))
        yield work


@post(
    "/account/passkeys",
    status_code=200,
    guards=[signed_in],
    dependencies={"work": registration_work},
    name="console_add_passkey",
)
async def add_passkey(
    request: Request[Any, Any, Any], work: PersonWork, data: JSONBody[PasskeyMade]
) -> Response[dict[str, Any]]:
    """Keep the passkey that my device made."""
    await passkeys.finish_registration(
        work,
        _party(request),
        visitor(request).account_id,
        challenge_id=data.challenge,
        answer=data.credential,
        label="".join(filter(str.isprintable, data.label)).strip() or None,
    )
    return json_answer({"next": section("passkeys", "passkey-added")})


@get(
    "/account/passkeys/{passkey:str}/remove",
    guards=[signed_in],
    dependencies={"work": fresh_person_work},
    name="console_ask_about_passkey",
)
async def ask_about_passkey(request: Request[Any, Any, Any], work: PersonWork, passkey: FromPath[str]) -> Response[str]:
    """Say what removing a passkey does."""
    person, wanted = visitor(request).account_id, id_of(passkey, "passkey")
    mine = await passkeys.of_person(work, person)
    found = next((each for each in mine if each.id == wanted), None)
    if found is None:
        raise NotFound("passkey")
    return confirmation_page(
        request,
        Confirmation(
            title=gettext("Remove the passkey “%(label)s”?", label=found.label)
            if found.label
            else gettext("Remove this passkey?"),
            said=_what_removing_does(only_one=len(mine) == 1, others=await sessions.count(work, person) - 1),
            facts=[(gettext("Added"), found.created_at), (gettext("Last used"), found.last_used_at)],
            button=gettext("Remove the passkey"),
            back=section("passkeys"),
        ),
    )


@post(
    "/account/passkeys/{passkey:str}/remove",
    status_code=200,
    guards=[signed_in],
    dependencies={"work": fresh_person_work},
    name="console_remove_passkey",
)
async def remove_passkey(request: Request[Any, Any, Any], work: PersonWork, passkey: FromPath[str]) -> Response[Any]:
    """Remove one of my passkeys."""
    await passkeys.close(work, visitor(request).account_id, id_of(passkey, "passkey"))
    return see(section("passkeys", "passkey-removed"))


def _what_removing_does(*, only_one: bool, others: int) -> list[str]:
    said = [
        gettext("It opens nothing any more, neither this console nor the product. The same device can make a new one.")
    ]
    if others:
        said.append(
            ngettext(
                "No session is closed by it, and you have %(count)s other session open. If the device is lost, sign "
                "out "
                "everywhere else too.",
                "No session is closed by it, and you have %(count)s other sessions open. If the device is lost, sign "
                "out "
                "everywhere else too.",
                others,
            )
        )
    if only_one:
        said.append(gettext("It is your only passkey: without one you need a sign-in code the next time."))
    return said


def _party(request: AnyRequest) -> RelyingParty:
    party: RelyingParty | None = request.app.state.own_party
    if party is None:
        msg = "Passkeys can't be added at this address; see ROLLCALL_PUBLIC_URL and ROLLCALL_PASSKEY_RP_ID."
        raise Conflict(msg)
    return party
