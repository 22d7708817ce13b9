"""The wiring of the context, done once a process."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.notifications.service import Inbox


@cache
def inbox() -> "Inbox":
    """Return the inboxes over the context's table."""
    from common.aws import client
    from common.config import config
    from common.dynamo import Table

    from functions.notifications.service import Inbox
    from functions.notifications.store import NotificationStore

    return Inbox(NotificationStore(Table(client("dynamodb"), config().table("notifications"))))
