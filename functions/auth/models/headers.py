"""The headers that carry credentials: Authorization, the refresh token's cookie, and Origin."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from aws_lambda_powertools.shared.cookies import Cookie, SameSite
from common.config import config
from common.errors import Refusal

from functions.auth.domain.sessions import REFRESH_LIFETIME

REFRESH_COOKIE = "remit_refresh"
_COOKIE_PATH = "/v1/auth"


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return the token of `Authorization: Bearer <token>`, or None. Header names are in lower case."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def refresh_cookie(token: str) -> Cookie:
    """Return the cookie that stores a refresh token, which scripts and other sites can't read."""
    return _cookie(token, int(REFRESH_LIFETIME.total_seconds()))


def expired_refresh_cookie() -> Cookie:
    """Return the cookie that makes a browser delete the refresh token."""
    return _cookie("", 0)


def _cookie(token: str, max_age_seconds: int) -> Cookie:
    return Cookie(
        REFRESH_COOKIE,
        token,
        path=_COOKIE_PATH,
        secure=not config().is_local,
        http_only=True,
        max_age=max_age_seconds,
        same_site=SameSite.STRICT_MODE,
    )


def check_origin(origin: str | None) -> None:
    """Raise Refusal `forbidden` for a page of another origin. Clients other than browsers send no origin."""
    settings = config()
    if origin is None or origin in (settings.allowed_origin, settings.public_url):
        return
    if settings.is_local and _is_this_machine(origin):
        return
    raise Refusal("forbidden", "This origin is not allowed.")


def _is_this_machine(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
