"""POST /v1/auth/logout."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import sessions
from functions.auth.models.headers import REFRESH_COOKIE, bearer_token, check_origin, expired_refresh_cookie
from functions.auth.models.sessions import RefreshTokenBody

api = Api()


@api.post("/auth/logout", body=RefreshTokenBody, public=True)
def logout(request: Request[RefreshTokenBody, Query]) -> Reply:
    """End the session of every token in the request, and delete the cookie."""
    check_origin(request.headers.get("origin"))
    given = (request.body.refresh_token, request.cookies.get(REFRESH_COOKIE))
    sessions().logout([token for token in given if token], bearer_token(request.headers))
    return Reply(204, cookies=(expired_refresh_cookie(),))


handler = api.handler
