"""POST /v1/auth/login."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.adapters.log import log_email
from functions.auth.bootstrap import login as service
from functions.auth.domain.codes import LoginChallenge
from functions.auth.models.headers import refresh_cookie
from functions.auth.models.login import LoginChallengeResource, LoginCredentials
from functions.auth.models.sessions import GrantedTokensResource

api = Api()


@api.post("/auth/login", body=LoginCredentials, public=True)
def login(request: Request[LoginCredentials, Query]) -> Reply:
    """Open a session, or ask for the second factor."""
    log_email(request, request.body.email)
    result = service().login(request.body.email, request.body.password, request.actor)
    if isinstance(result, LoginChallenge):
        return Reply(200, LoginChallengeResource.of(result))
    return Reply(200, GrantedTokensResource.of(result), cookies=(refresh_cookie(result.refresh_token),))


handler = api.handler
