"""The queue of deleted users, whose personal data is deleted from the records."""

from typing import Any

from common.events import consume_queue

from functions.transfers.bootstrap import users


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch. Returns the failed messages, which are delivered again."""
    return consume_queue(batch, context, lambda event: users().delete_personal_data(event.data["user_id"]))
