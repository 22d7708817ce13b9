"""POST /v1/auth/password/reset."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import password_changes
from functions.auth.models import PasswordReset

api = Api()


@api.post("/auth/password/reset", body=PasswordReset, public=True)
def reset(request: Request[PasswordReset, Query]) -> Reply:
    """Takes the mailed code as leave for another password, and ends every session."""
    password_changes().reset(request.actor, request.body.email, request.body.code, request.body.new_password)
    return Reply(204)


handler = api.handler
