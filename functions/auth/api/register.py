"""POST /v1/auth/register."""

from common.http import Api, Reply, Request
from common.http.fields import Query

from functions.auth.bootstrap import registration
from functions.auth.models import Register, UserResource

api = Api()


@api.post("/auth/register", body=Register, public=True)
def register(request: Request[Register, Query]) -> Reply:
    """Registers a user and mails a code."""
    body = request.body
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
