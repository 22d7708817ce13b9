"""POST and GET /v1/auth/api-keys, and DELETE /v1/auth/api-keys/{key_id}."""

from common.http import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.auth.bootstrap import api_keys, sessions
from functions.auth.models import ApiKeyResource, NewApiKey, NewApiKeyResource

api = Api()


@api.post("/auth/api-keys", body=NewApiKey, person=True)
def create(request: Request[NewApiKey, Query]) -> Reply:
    """Makes a key; this answer alone shows it."""
    who, body = request.principal, request.body
    sessions().check(who.user_id, who.session_id)
    key, text = api_keys().create(request.actor, who.user_id, body.name, set(body.scopes))
    return Reply.created(NewApiKeyResource.shown(key, text), f"/v1/auth/api-keys/{key.id}")


@api.get("/auth/api-keys", query=ListQuery, person=True)
def list_keys(request: Request[NoFields, ListQuery]) -> Reply:
    """The caller's keys, newest first."""
    cursors = request.cursors
    page = api_keys().page(request.principal.user_id, request.query.limit, cursors.decode(request.query.cursor))
    return Reply.page([ApiKeyResource.of(key) for key in page.items], cursors.encode(page.next_position))


@api.delete("/auth/api-keys/{key_id}", person=True)
def revoke(request: Request[NoFields, Query]) -> Reply:
    """Ends a key of the caller's."""
    api_keys().revoke(request.actor, request.principal.user_id, request.id("key_id"))
    return Reply(204)


handler = api.handler
