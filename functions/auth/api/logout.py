"""POST /v1/auth/logout."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth import cookie
from functions.auth.bearer import bearer
from functions.auth.bootstrap import sessions
from functions.auth.models import GivenRefreshToken

api = Api()


@api.post("/auth/logout", body=GivenRefreshToken, public=True)
def logout(request: Request[GivenRefreshToken, Query]) -> Reply:
    """Ends the session of every token that was sent, and clears the cookie."""
    cookie.check_origin(request.headers.get("origin"))
    given = (request.body.refresh_token, request.cookies.get(cookie.NAME))
    sessions().logout([token for token in given if token], bearer(request.headers))
    return Reply(204, cookies=(cookie.clear(),))


handler = api.handler
