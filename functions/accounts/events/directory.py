"""The queue of `user.*`: keeps the payee directory, and forgets what a user leaves behind who is gone."""

from typing import Any

from common.events import Event, consume_queue

from functions.accounts.bootstrap import accounts, instruments, payees


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes each event in, and answers which have to come again."""
    return consume_queue(batch, context, _hear)


def _hear(event: Event) -> None:
    payees.service().hear(event)
    if event.type == "user.deleted":
        instruments.service().forget(event.subject)
        accounts.service().forget(event.subject)
