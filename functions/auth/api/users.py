"""GET /v1/users."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields

from functions.auth.bootstrap import users
from functions.auth.models import UserResource, UsersQuery
from functions.auth.service.users import Filters

api = Api()


@api.get("/users", query=UsersQuery, roles=frozenset({"admin"}))
def list_users(request: Request[NoFields, UsersQuery]) -> Reply:
    """All users, newest first."""
    query, cursors = request.query, request.cursors
    filters = Filters(query.role, query.status, query.email)
    page = users().page(filters, query.limit, cursors.decode(query.cursor))
    return Reply.page([UserResource.of(user) for user in page.items], cursors.encode(page.next_position))


handler = api.handler
