"""The queue of `user.*` events: updates the payees, and removes the data of deleted users."""

from typing import Any

from common.contracts.events import Event
from common.events import consume_queue

from functions.accounts.bootstrap import accounts, instruments, payees


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle each event. Returns the failed ones, which are delivered again."""
    return consume_queue(batch, context, _handle)


def _handle(event: Event) -> None:
    payees().handle(event)
    if event.type == "user.deleted":
        instruments().forget(event.subject)
        accounts().forget(event.subject)
