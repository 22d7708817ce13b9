"""POST /v1/auth/login."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth import grants
from functions.auth.bootstrap import login as service
from functions.auth.models import Credentials

api = Api()


@api.post("/auth/login", body=Credentials, public=True)
def login(request: Request[Credentials, Query]) -> Reply:
    """Opens a session."""
    return grants.reply(service().login(request.body.email, request.body.password, request.actor))


handler = api.handler
