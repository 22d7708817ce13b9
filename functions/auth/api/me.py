"""GET and PATCH /v1/auth/me."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.bootstrap import profile, users
from functions.auth.models.users import ProfileChange, UserResource

api = Api()


@api.get("/auth/me")
def me(request: Request[NoFields, Query]) -> Reply:
    """Return the caller."""
    return Reply(200, UserResource.of(users().me(request.principal.user_id)))


@api.patch("/auth/me", body=ProfileChange, person=True)
def change(request: Request[ProfileChange, Query]) -> Reply:
    """Change the caller's names and second factor."""
    body = request.body
    user = profile().change(
        request.actor,
        request.principal.user_id,
        first_name=body.first_name,
        last_name=body.last_name,
        second_factor=body.second_factor,
        password=body.password,
    )
    return Reply(200, UserResource.of(user))


handler = api.handler
