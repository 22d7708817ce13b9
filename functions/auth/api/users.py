"""GET /v1/users."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields

from functions.auth.bootstrap import users
from functions.auth.models.users import UserResource, UsersQuery

api = Api()


@api.get("/users", query=UsersQuery, roles=frozenset({"admin"}))
def list_users(request: Request[NoFields, UsersQuery]) -> Reply:
    """List users, newest first."""
    query, cursors = request.query, request.cursors
    page = users().page(query.filter(), query.limit, cursors.decode(query.cursor))
    return Reply.page([UserResource.of(user) for user in page.items], cursors.encode(page.next_position))


handler = api.handler
