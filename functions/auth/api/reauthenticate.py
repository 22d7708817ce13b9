"""POST /v1/auth/reauthenticate."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import reauthentication
from functions.auth.models.headers import refresh_cookie
from functions.auth.models.sessions import GrantedTokensResource, Reauthentication

api = Api()


@api.post("/auth/reauthenticate", body=Reauthentication, person=True)
def reauthenticate(request: Request[Reauthentication, Query]) -> Reply:
    """Return new tokens of the caller's session with a fresh `auth_time`, or mail the code that is missing."""
    who, body = request.principal, request.body
    granted = reauthentication().reauthenticate(request.actor, who.user_id, who.session_id, body.password, body.code)
    if granted is None:
        return Reply(202, headers={"Location": "/v1/auth/reauthenticate"})
    return Reply(200, GrantedTokensResource.of(granted), cookies=(refresh_cookie(granted.refresh_token),))


handler = api.handler
