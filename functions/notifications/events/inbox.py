"""The queue of events that users are notified of."""

from typing import Any

from common.events import consume_queue

from functions.notifications.bootstrap import inbox


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Add the notifications of a batch of events. Returns the failed messages, which are delivered again."""
    return consume_queue(batch, context, lambda event: inbox().handle(event))
