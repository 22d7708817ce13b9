"""POST /v1/auth/login."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth import grants
from functions.auth.bootstrap import login as service
from functions.auth.models import ChallengedResource, Credentials
from functions.auth.service.login import Challenged

api = Api()


@api.post("/auth/login", body=Credentials, public=True)
def login(request: Request[Credentials, Query]) -> Reply:
    """Opens a session, or asks for the second factor."""
    match service().login(request.body.email, request.body.password, request.actor):
        case Challenged(challenge_id, methods):
            return Reply(200, ChallengedResource(challenge_id=challenge_id, methods=methods))
        case grant:
            return grants.reply(grant)


handler = api.handler
