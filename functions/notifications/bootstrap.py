"""The room, wired once a process."""

from functools import cache

from common.aws import client
from common.config import config
from common.dynamo import Table

from functions.notifications.service import Service
from functions.notifications.store import DynamoStore


@cache
def service() -> Service:
    """The room's use cases over its table."""
    return Service(DynamoStore(Table(client("dynamodb"), config().table("notifications"))))
