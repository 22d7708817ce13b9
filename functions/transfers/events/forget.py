"""Hears who was deleted from the room's queue, and takes their names from its records."""

from typing import Any

from common.events import consume_queue

from functions.transfers.bootstrap import service


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handles a batch of the queue; answers the messages that have to come again."""
    return consume_queue(batch, context, lambda event: service().forget(event.data["user_id"]))
