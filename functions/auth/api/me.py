"""GET /v1/auth/me."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.bootstrap import users
from functions.auth.models import UserResource

api = Api()


@api.get("/auth/me")
def me(request: Request[NoFields, Query]) -> Reply:
    """The caller."""
    return Reply(200, UserResource.of(users().me(request.principal.user_id)))


handler = api.handler
