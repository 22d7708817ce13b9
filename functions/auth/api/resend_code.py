"""POST /v1/auth/resend-code."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import codes, registration
from functions.auth.models import ResendCode

api = Api()


@api.post("/auth/resend-code", body=ResendCode, public=True)
def resend_code(request: Request[ResendCode, Query]) -> Reply:
    """Sends another code where there is somebody to send it to; the answer does not tell. It says where codes go."""
    if request.body.email is not None:
        registration().resend(request.actor, request.body.email)
        return Reply(202, headers={"Location": "/v1/auth/verify-email"})
    codes().ask_again(request.body.challenge_id or "", request.actor)
    return Reply(202, headers={"Location": "/v1/auth/login/verify"})


handler = api.handler
