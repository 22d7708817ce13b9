"""POST /v1/auth/refresh."""

from common.errors import Refusal
from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import sessions
from functions.auth.models.headers import REFRESH_COOKIE, check_origin, refresh_cookie
from functions.auth.models.sessions import GrantedTokensResource, RefreshTokenBody

api = Api()


@api.post("/auth/refresh", body=RefreshTokenBody, public=True)
def refresh(request: Request[RefreshTokenBody, Query]) -> Reply:
    """Return the next tokens of a session, given the refresh token in the body or else in the cookie."""
    check_origin(request.headers.get("origin"))
    given = request.body.refresh_token
    token = given or request.cookies.get(REFRESH_COOKIE)
    if not token:
        raise Refusal("invalid_refresh_token")
    granted = sessions().refresh(token, request.actor)
    # A client that sent the cookie gets the next refresh token in the cookie alone.
    hidden = {"refresh_token"} if given is None else set()
    body = GrantedTokensResource.of(granted).model_dump(mode="json", exclude=hidden)
    return Reply(200, body, cookies=(refresh_cookie(granted.refresh_token),))


handler = api.handler
