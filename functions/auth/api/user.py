"""GET, PATCH and DELETE /v1/users/{user_id}."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.bootstrap import administration, users
from functions.auth.models.users import UserChange, UserResource

api = Api()
_PATH = "/users/{user_id}"


@api.get(_PATH)
def get(request: Request[NoFields, Query]) -> Reply:
    """Return a user to themselves or an admin."""
    who = request.principal
    return Reply(200, UserResource.of(users().seen_by(who.user_id, request.id("user_id"), admin=who.is_admin)))


@api.patch(_PATH, body=UserChange, roles=frozenset({"admin"}), person=True)
def change(request: Request[UserChange, Query]) -> Reply:
    """Change a user's role or status, which ends their sessions."""
    user = administration().change(request.actor, request.id("user_id"), request.body.role, request.body.status)
    return Reply(200, UserResource.of(user))


@api.delete(_PATH, person=True)
def delete(request: Request[NoFields, Query]) -> Reply:
    """Delete a user who has no money here, with all their personal data."""
    who, user_id = request.principal, request.id("user_id")
    if user_id == who.user_id:
        request.require_recent_login()
    administration().delete(request.actor, user_id, admin=who.is_admin)
    return Reply(204)


handler = api.handler
