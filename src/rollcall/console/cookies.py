"""The console's cookies: the session, the one that forms are held against, and the workspace somebody last chose.

Where the installation is reached by https they are bound to its very host: no page of a neighbouring host can set them.
"""

from datetime import timedelta
from hashlib import sha256
from hmac import digest

from litestar.config.csrf import CSRFConfig
from litestar.datastructures import Cookie

from rollcall.access import operator_sessions
from rollcall.access.console_sessions import LIFETIME
from rollcall.access.operator_sessions import Opened
from rollcall.access.sessions import NewSession
from rollcall.console.requests import AnyRequest
from rollcall.settings import Settings

WORKSPACE = "rollcall-workspace"
_A_YEAR = 365 * 86400


def session_shown(request: AnyRequest) -> str | None:
    """The session that a request shows."""
    return request.cookies.get(_bound("rollcall-session", secure=_secure(request)))


def forms_shown(request: AnyRequest) -> str | None:
    """What a request shows that its form is to be held against."""
    return request.cookies.get(_bound("rollcall-csrf", secure=_secure(request)))


def session_cookie(request: AnyRequest, new: NewSession, *, lifetime: timedelta = LIFETIME) -> Cookie:
    """Hands somebody their session. A script can't read it, and another site's form does not send it."""
    return _cookie(request, "rollcall-session", new.text, int(lifetime.total_seconds()))


def no_session(request: AnyRequest) -> Cookie:
    """Takes the session back."""
    return _cookie(request, "rollcall-session", "", 0)


def operator_shown(request: AnyRequest) -> str | None:
    """The operator's session that a request shows."""
    return request.cookies.get(_bound("rollcall-operator", secure=_secure(request)))


def operator_cookie(request: AnyRequest, opened: Opened) -> Cookie:
    """Hands an operator their session; it is another one than that of a tenant's person."""
    return _cookie(request, "rollcall-operator", opened.text, int(operator_sessions.LIFETIME.total_seconds()))


def no_operator(request: AnyRequest) -> Cookie:
    """Takes an operator's session back."""
    return _cookie(request, "rollcall-operator", "", 0)


def view_shown(request: AnyRequest) -> str | None:
    """What a request shows of whose pages an operator looks at."""
    return request.cookies.get(_bound("rollcall-view", secure=_secure(request)))


def view_cookie(request: AnyRequest, sealed: str, lifetime: timedelta) -> Cookie:
    """Has an operator look at a tenant's pages."""
    return _cookie(request, "rollcall-view", sealed, int(lifetime.total_seconds()))


def no_view(request: AnyRequest) -> Cookie:
    """Has them look at their own again."""
    return _cookie(request, "rollcall-view", "", 0)


def tenants_shown(request: AnyRequest) -> str | None:
    """What a request shows of which tenants an operator looked at last."""
    return request.cookies.get(_bound("rollcall-tenants", secure=_secure(request)))


def tenants_cookie(request: AnyRequest, sealed: str) -> Cookie:
    """Remembers them for as long as a session lasts."""
    return _cookie(request, "rollcall-tenants", sealed, int(operator_sessions.LIFETIME.total_seconds()))


def no_csrf(request: AnyRequest) -> Cookie:
    """Takes back what forms are held against; the next page sets it anew."""
    return _cookie(request, "rollcall-csrf", "", 0)


def workspace_cookie(request: AnyRequest, workspace: str) -> Cookie:
    """Remembers the workspace for the next time. It opens nothing."""
    return Cookie(WORKSPACE, "/console", workspace, _A_YEAR, secure=_secure(request), httponly=True, samesite="lax")


def csrf_config(settings: Settings) -> CSRFConfig:
    """How forms are protected: what is in the form has to be what is in the cookie, and made under our key."""
    secure = settings.public_url.startswith("https://")
    key = settings.secret_keys[0].get_secret_value().encode()
    return CSRFConfig(
        secret=digest(key, b"forms of the console", sha256).hex(),
        cookie_name=_bound("rollcall-csrf", secure=secure),
        cookie_secure=secure,
        cookie_httponly=True,
    )


def _cookie(request: AnyRequest, name: str, value: str, max_age: int) -> Cookie:
    secure = _secure(request)
    return Cookie(_bound(name, secure=secure), "/", value, max_age, secure=secure, httponly=True, samesite="lax")


def _bound(name: str, *, secure: bool) -> str:
    return f"__Host-{name}" if secure else name


def _secure(request: AnyRequest) -> bool:
    return request.app.state.public_url.startswith("https://")
