"""POST /v1/notifications/{notification_id}/read and POST /v1/notifications/read-all."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields, Query

from functions.notifications.bootstrap import service

api = Api()


@api.post("/notifications/{notification_id}/read", idempotent=True)
def notification_read(request: Request[NoFields, Query]) -> Reply:
    """Marks one notification of the caller as read; again changes nothing."""
    again = service().read(request.principal.user_id, request.id("notification_id"), request.idempotency)
    return _done(again=again)


@api.post("/notifications/read-all", idempotent=True)
def notifications_read_all(request: Request[NoFields, Query]) -> Reply:
    """Marks all that the caller has now as read."""
    return _done(again=service().read_all(request.principal.user_id, request.idempotency))


def _done(*, again: bool) -> Reply:
    return Reply(204, headers={"Idempotent-Replayed": "true"} if again else {})


handler = api.handler
