"""GET /v1/notifications."""

from common.http import Api, Reply, Request
from common.http.fields import NoFields

from functions.notifications.bootstrap import service
from functions.notifications.models import InboxQuery, NotificationModel

api = Api()


@api.get("/notifications", query=InboxQuery)
def notifications(request: Request[NoFields, InboxQuery]) -> Reply:
    """The caller's notifications, newest first, and how many are unread.

    `unread=true` lists the unread ones alone, `unread=false` the read ones. `after` is the id of a notification: only
    newer ones are listed, so a client that has seen one asks for what came since.
    """
    query = request.query
    read = None if query.unread is None else query.unread == "false"
    position = request.cursors.decode(query.cursor)
    page, unread = service().inbox(
        request.principal.user_id, after=query.after, position=position, read=read, limit=query.limit
    )
    items = [NotificationModel.of(each) for each in page.items]
    return Reply.page(items, request.cursors.encode(page.next_position), unread_count=unread)


handler = api.handler
