"""POST /v1/auth/login/verify."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth import grants
from functions.auth.bootstrap import second_factor
from functions.auth.models import LoginAnswer

api = Api()


@api.post("/auth/login/verify", body=LoginAnswer, public=True)
def verify(request: Request[LoginAnswer, Query]) -> Reply:
    """Opens the session of a login, given its second factor."""
    return grants.reply(second_factor().verify(request.body.challenge_id, request.body.code, request.actor))


handler = api.handler
