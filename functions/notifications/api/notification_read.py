"""POST /v1/notifications/{notification_id}/read and POST /v1/notifications/read-all."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.notifications.bootstrap import inbox

api = Api()


@api.post("/notifications/{notification_id}/read", idempotent=True)
def notification_read(request: Request[NoFields, Query]) -> Reply:
    """Mark one notification of the caller as read. Repeating it changes nothing."""
    user_id, notification_id = request.principal.user_id, request.id("notification_id")
    return Reply.done(replayed=inbox().mark_read(user_id, notification_id, request.idempotency_key))


@api.post("/notifications/read-all", idempotent=True)
def notifications_read_all(request: Request[NoFields, Query]) -> Reply:
    """Mark all current notifications of the caller as read."""
    return Reply.done(replayed=inbox().mark_all_read(request.principal.user_id, request.idempotency_key))


handler = api.handler
