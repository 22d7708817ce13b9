"""POST /v1/notifications/{notification_id}/read and POST /v1/notifications/read-all."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.notifications.bootstrap import service

api = Api()


@api.post("/notifications/{notification_id}/read")
def notification_read(request: Request[NoFields, Query]) -> Reply:
    """Marks one notification of the caller as read; again changes nothing."""
    service().read(request.principal.user_id, request.id("notification_id"))
    return Reply(204)


@api.post("/notifications/read-all")
def notifications_read_all(request: Request[NoFields, Query]) -> Reply:
    """Marks all that the caller has now as read."""
    service().read_all(request.principal.user_id)
    return Reply(204)


handler = api.handler
