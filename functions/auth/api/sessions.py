"""GET /v1/auth/sessions and DELETE /v1/auth/sessions/{session_id}."""

from common.http.app import Api, Reply, Request
from common.http.fields import ListQuery, NoFields, Query

from functions.auth.bootstrap import sessions
from functions.auth.models.sessions import SessionResource

api = Api()


@api.get("/auth/sessions", query=ListQuery, person=True)
def list_sessions(request: Request[NoFields, ListQuery]) -> Reply:
    """List the caller's sessions, newest first."""
    who, cursors = request.principal, request.cursors
    page = sessions().page(who.user_id, request.query.limit, cursors.decode(request.query.cursor))
    items = [SessionResource.of(session, current=session.id == who.session_id) for session in page.items]
    return Reply.page(items, cursors.encode(page.next_position))


@api.delete("/auth/sessions/{session_id}", person=True)
def end_session(request: Request[NoFields, Query]) -> Reply:
    """End a session of the caller."""
    sessions().end(request.principal.user_id, request.id("session_id"))
    return Reply(204)


handler = api.handler
