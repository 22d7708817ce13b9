"""POST and GET /v1/auth/api-keys, and DELETE /v1/auth/api-keys/{key_id}."""

from common.http.app import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.auth.bootstrap import api_keys, sessions
from functions.auth.models.api_keys import ApiKeyResource, NewApiKey, NewApiKeyResource

api = Api()


@api.post("/auth/api-keys", body=NewApiKey, recent_login=True)
def create(request: Request[NewApiKey, Query]) -> Reply:
    """Create an API key. Only this response shows its text."""
    who, body = request.principal, request.body
    sessions().check_live(who.user_id, who.session_id)
    created = api_keys().create(request.actor, who.user_id, body.name, set(body.scopes))
    return Reply.created(NewApiKeyResource.created(created), f"/v1/auth/api-keys/{created.key.id}")


@api.get("/auth/api-keys", query=ListQuery, person=True)
def list_keys(request: Request[NoFields, ListQuery]) -> Reply:
    """List the caller's API keys, newest first."""
    cursors = request.cursors
    page = api_keys().page(request.principal.user_id, request.query.limit, cursors.decode(request.query.cursor))
    return Reply.page([ApiKeyResource.of(key) for key in page.items], cursors.encode(page.next_position))


@api.delete("/auth/api-keys/{key_id}", person=True)
def revoke(request: Request[NoFields, Query]) -> Reply:
    """Revoke an API key of the caller."""
    api_keys().revoke(request.actor, request.principal.user_id, request.id("key_id"))
    return Reply(204)


handler = api.handler
