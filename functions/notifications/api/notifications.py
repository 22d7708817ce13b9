"""GET /v1/notifications."""

from common.http.app import Api, Reply, Request
from common.http.fields import NoFields

from functions.notifications.bootstrap import inbox
from functions.notifications.models import InboxQuery, NotificationResource

api = Api()


@api.get("/notifications", query=InboxQuery)
def notifications(request: Request[NoFields, InboxQuery]) -> Reply:
    """List the caller's notifications, newest first, with the number of all that are unread.

    `unread=true` lists only unread notifications, `unread=false` only read ones. `after` is the id of a notification:
    only newer ones are listed, so that a client can ask for what is new.
    """
    query = request.query
    read = None if query.unread is None else query.unread == "false"
    position = request.cursors.decode(query.cursor)
    page, unread = inbox().page(
        request.principal.user_id, after=query.after, position=position, read=read, limit=query.limit
    )
    items = [NotificationResource.of(each) for each in page.items]
    return Reply.page(items, request.cursors.encode(page.next_position), unread_count=unread)


handler = api.handler
