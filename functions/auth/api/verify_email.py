"""POST /v1/auth/verify-email."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import registration
from functions.auth.models import VerifyEmail

api = Api()


@api.post("/auth/verify-email", body=VerifyEmail, public=True)
def verify_email(request: Request[VerifyEmail, Query]) -> Reply:
    """Takes the mailed code as proof of the address."""
    registration().verify_email(request.actor, request.body.email, request.body.code)
    return Reply(204)


handler = api.handler
