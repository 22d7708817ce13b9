"""The queue of `user.*`: keeps the payee directory."""

from typing import Any

from common.events import consume_queue

from functions.accounts.bootstrap.payees import service


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes each event in, and answers which have to come again."""
    return consume_queue(batch, context, lambda event: service().hear(event))
