"""The refresh token's cookie, and where requests that carry it may come from."""

from urllib.parse import urlsplit

from aws_lambda_powertools.shared.cookies import Cookie, SameSite
from common.config import config
from common.errors import Problem

NAME = "remit_refresh"
_PATH = "/v1/auth"


def keep(token: str, seconds: int) -> Cookie:
    """The cookie that keeps a refresh token for `seconds`, out of reach of scripts and other sites."""
    return Cookie(
        NAME,
        token,
        path=_PATH,
        secure=not config().is_local,
        http_only=True,
        max_age=seconds,
        same_site=SameSite.STRICT_MODE,
    )


def clear() -> Cookie:
    """The cookie that makes a browser forget the refresh token."""
    return keep("", 0)


def check_origin(origin: str | None) -> None:
    """Refuses a page of another origin; clients that are no browsers send none. Raises Problem `forbidden`."""
    settings = config()
    if origin is None or origin in (settings.allowed_origin, settings.public_url):
        return
    if settings.is_local and _is_this_machine(origin):
        return
    raise Problem("forbidden", "This origin is not allowed.")


def _is_this_machine(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
