"""POST /v1/auth/login/verify."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import second_factor
from functions.auth.models.headers import refresh_cookie
from functions.auth.models.login import LoginVerification
from functions.auth.models.sessions import GrantedTokensResource

api = Api()


@api.post("/auth/login/verify", body=LoginVerification, public=True)
def verify(request: Request[LoginVerification, Query]) -> Reply:
    """Complete a login, given its second factor."""
    granted = second_factor().verify(request.body.challenge_id, request.body.code, request.actor)
    return Reply(200, GrantedTokensResource.of(granted), cookies=(refresh_cookie(granted.refresh_token),))


handler = api.handler
