"""POST /v1/auth/password/reset."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.adapters.log import log_email
from functions.auth.bootstrap import passwords
from functions.auth.models.passwords import PasswordReset

api = Api()


@api.post("/auth/password/reset", body=PasswordReset, public=True)
def reset(request: Request[PasswordReset, Query]) -> Reply:
    """Set a new password, given the mailed code, and end every session."""
    log_email(request, request.body.email)
    passwords().reset(request.actor, request.body.email, request.body.code, request.body.new_password)
    return Reply(204)


handler = api.handler
