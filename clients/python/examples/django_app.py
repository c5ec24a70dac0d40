"""A product on Django whose pages are for people that Rollcall knows, in one file.

ROLLCALL_ADDRESS=http://127.0.0.1:8000 APPLICATION_KEY=rc_app_… WEBHOOK_SECRET=whsec_… \\
        granian --interface asgi django_app:app
"""

import os

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from rollcall_client import Rollcall, RollcallMiddleware, Visitor, WebhookNotVerified, verify

settings.configure(
    SECRET_KEY=os.environ.get("DJANGO_SECRET_KEY", "only-for-this-example"),
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
)
django.setup()

rollcall = Rollcall(os.environ["ROLLCALL_ADDRESS"], os.environ["APPLICATION_KEY"])
webhook_secret = os.environ["WEBHOOK_SECRET"]
departed: dict[str, str] = {}
"""Who has left, by the webhook that told us; a real product clears its own caches here."""


def visitor_of(request: HttpRequest) -> Visitor:
    """Whose session the request carries; the middleware has let it in."""
    return request.scope["rollcall"]  # type: ignore[attr-defined]


async def home(_request: HttpRequest) -> HttpResponse:
    """Anybody may see this."""
    return JsonResponse({"product": "example"})


async def me(request: HttpRequest) -> HttpResponse:
    """Who is asking, as of now."""
    visitor = visitor_of(request)
    return JsonResponse({"user_name": visitor.user_name, "tenant": visitor.tenant, "role": visitor.role})


@csrf_exempt  # an API: the session came as a bearer token, or your forms carry Django's own token
async def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session that was used to ask."""
    await rollcall.close_session(visitor_of(request).token)
    return HttpResponse(status=204)


@csrf_exempt  # its signature says who called
async def hook(request: HttpRequest) -> HttpResponse:
    """What Rollcall tells; a call may come twice."""
    try:
        told = verify(request.body, request.headers, webhook_secret)
    except WebhookNotVerified as error:
        return HttpResponse(str(error), status=401)
    if told.type == "user.deactivated":
        departed[told.id] = told.data["person"]["user_name"]
    return HttpResponse(status=204)


urlpatterns = [path("", home), path("me", me), path("sign-out", sign_out), path("hooks/rollcall", hook)]
app = RollcallMiddleware(get_asgi_application(), rollcall, public=("/", "/hooks/"))
