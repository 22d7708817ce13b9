"""POST /v1/auth/password/forgot."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.adapters.log import log_email
from functions.auth.bootstrap import passwords
from functions.auth.models.passwords import ForgottenPassword

api = Api()


@api.post("/auth/password/forgot", body=ForgottenPassword, public=True)
def forgot(request: Request[ForgottenPassword, Query]) -> Reply:
    """Mail a code if a user has this email. The response is the same if not."""
    log_email(request, request.body.email)
    passwords().forgot(request.actor, request.body.email)
    return Reply(202, headers={"Location": "/v1/auth/password/reset"})


handler = api.handler
