"""POST /v1/auth/verify-email."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.adapters.log import log_email
from functions.auth.bootstrap import registration
from functions.auth.models.registration import EmailVerification

api = Api()


@api.post("/auth/verify-email", body=EmailVerification, public=True)
def verify_email(request: Request[EmailVerification, Query]) -> Reply:
    """Verify an email address, given the mailed code."""
    log_email(request, request.body.email)
    registration().verify_email(request.actor, request.body.email, request.body.code)
    return Reply(204)


handler = api.handler
