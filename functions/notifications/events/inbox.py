"""Hears events from the room's queue and tells the people concerned."""

from typing import Any

from common.events import consume_queue

from functions.notifications.bootstrap import service


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handles a batch of the queue; answers the messages that have to come again."""
    return consume_queue(batch, context, lambda event: service().hear(event))
