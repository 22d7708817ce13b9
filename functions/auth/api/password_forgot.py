"""POST /v1/auth/password/forgot."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import password_changes
from functions.auth.models import ForgottenPassword

api = Api()


@api.post("/auth/password/forgot", body=ForgottenPassword, public=True)
def forgot(request: Request[ForgottenPassword, Query]) -> Reply:
    """Mails a code where there is somebody to mail it to; the answer does not tell. It says where the code goes."""
    password_changes().forgot(request.actor, request.body.email)
    return Reply(202, headers={"Location": "/v1/auth/password/reset"})


handler = api.handler
