"""POST /v1/auth/refresh."""

from common.errors import Problem
from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth import cookie, grants
from functions.auth.bootstrap import sessions
from functions.auth.models import GivenRefreshToken

api = Api()


@api.post("/auth/refresh", body=GivenRefreshToken, public=True)
def refresh(request: Request[GivenRefreshToken, Query]) -> Reply:
    """The next tokens of a session, for a refresh token in the body or else in the cookie."""
    cookie.check_origin(request.headers.get("origin"))
    given = request.body.refresh_token
    token = given or request.cookies.get(cookie.NAME)
    if not token:
        raise Problem("invalid_refresh_token")
    return grants.reply(sessions().refresh(token, request.actor), by_cookie=given is None)


handler = api.handler
