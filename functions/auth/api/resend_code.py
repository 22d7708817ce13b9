"""POST /v1/auth/resend-code."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.adapters.log import log_email
from functions.auth.bootstrap import codes, registration
from functions.auth.models.registration import CodeResend

api = Api()


@api.post("/auth/resend-code", body=CodeResend, public=True)
def resend_code(request: Request[CodeResend, Query]) -> Reply:
    """Send another code if there is a user to send it to. The response is the same if not."""
    if request.body.email is not None:
        log_email(request, request.body.email)
        registration().resend_code(request.actor, request.body.email)
        return Reply(202, headers={"Location": "/v1/auth/verify-email"})
    codes().resend_login_code(request.body.challenge_id or "", request.actor)
    return Reply(202, headers={"Location": "/v1/auth/login/verify"})


handler = api.handler
