"""What a login and a refresh answer."""

from common.http import Reply

from functions.auth import cookie
from functions.auth.domain.sessions import ACCESS_LIFETIME, REFRESH_LIFETIME
from functions.auth.models import Granted, UserResource
from functions.auth.service.sessions import Grant


def reply(grant: Grant, *, by_cookie: bool = False) -> Reply:
    """The tokens and the cookie; a client that sent the cookie does not get the refresh token in the body too."""
    granted = Granted(
        access_token=grant.access_token,
        expires_in=int(ACCESS_LIFETIME.total_seconds()),
        refresh_token=grant.refresh_token,
        user=UserResource.of(grant.user),
    )
    kept = cookie.keep(grant.refresh_token, int(REFRESH_LIFETIME.total_seconds()))
    hidden = {"refresh_token"} if by_cookie else set()
    return Reply(200, granted.model_dump(mode="json", exclude=hidden), cookies=(kept,))
