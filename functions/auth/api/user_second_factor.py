"""DELETE /v1/users/{user_id}/second-factor."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.auth.bootstrap import administration

api = Api()


@api.delete("/users/{user_id}/second-factor", roles=frozenset({"admin"}), person=True)
def remove(request: Request[NoFields, Query]) -> Reply:
    """Remove a user's second factor, after an identity check outside, and end their sessions."""
    administration().remove_second_factor(request.actor, request.id("user_id"))
    return Reply(204)


handler = api.handler
