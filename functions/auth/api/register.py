"""POST /v1/auth/register."""

from common.http.app import Api, Reply, Request
from common.http.fields import Query

from functions.auth.adapters.log import log_email
from functions.auth.bootstrap import registration
from functions.auth.models.registration import RegistrationRequest
from functions.auth.models.users import UserResource

api = Api()


@api.post("/auth/register", body=RegistrationRequest, public=True)
def register(request: Request[RegistrationRequest, Query]) -> Reply:
    """Register a user and mail a code."""
    body = request.body
    log_email(request, body.email)
    user = registration().register(
        request.actor,
        email=body.email,
        password=body.password,
        first_name=body.first_name,
        last_name=body.last_name,
        phone=body.phone,
    )
    return Reply.created(UserResource.of(user), f"/v1/users/{user.id}")


handler = api.handler
