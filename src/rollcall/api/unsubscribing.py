"""``/mail/unsubscribe``: having no more mail of a kind, by the key that stands in each mail (RFC 8058).

Whoever follows the link is asked first, for programs that look for viruses follow links too; a mail program that offers
to unsubscribe sends the POST by itself.
"""

from html import escape

from litestar import Response, Router, get, post
from litestar.params import FromQuery

from rollcall.alerts import refusing_mail
from rollcall.api.requests import AnyRequest, origin
from rollcall.work import SYSTEM, TenantRef, open_work

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Mail</title><body style="font-family:sans-serif;max-width:40em;margin:2em auto"><p>{said}</p>{form}</body></html>
"""
_FORM = '<form method="post"><button>No more mail of this kind</button></form>'
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"}


@get("/mail/unsubscribe", name="unsubscribe_page", include_in_schema=False, media_type="text/html")
async def ask(request: AnyRequest, key: FromQuery[str]) -> Response[str]:
    """Ask whether it is meant."""
    found = refusing_mail.read_key(request.app.state.sealer, key)
    said = f"Mail about {escape(found.kind.replace('_', ' '))} is sent to you as an admin."
    return Response(_PAGE.format(said=said, form=_FORM), media_type="text/html", headers=_HEADERS)


@post("/mail/unsubscribe", name="unsubscribe", status_code=200, include_in_schema=False, media_type="text/html")
async def unsubscribe(request: AnyRequest, key: FromQuery[str]) -> Response[str]:
    """Send no more mail of this kind to whoever got it."""
    found = refusing_mail.read_key(request.app.state.sealer, key)
    async with open_work(request.app.state.database, TenantRef(found.tenant_id, ""), SYSTEM, origin(request)) as work:
        await refusing_mail.refuse(work, found)
    said = f"You get no more mail about {escape(found.kind.replace('_', ' '))}."
    return Response(_PAGE.format(said=said, form=""), media_type="text/html", headers=_HEADERS)


router = Router("/", route_handlers=[ask, unsubscribe])
