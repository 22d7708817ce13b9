"""The queue of rail answers, which resume the sagas that wait for them."""

from typing import Any

from common.events import consume_messages
from common.observability import logger

from functions.transfers.bootstrap import sagas


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch. Returns the failed messages, which are delivered again. Their task token is never logged."""
    return consume_messages(batch, context, _resume)


def _resume(message: dict[str, Any]) -> None:
    outcome = {"outcome": message["outcome"], "code": message["code"]}
    if not sagas().resume(message["task_token"], outcome):
        # A second delivery, or one after the deposit failed: then the rail has to return the money.
        logger().warning(
            "rail callback ignored: execution already finished",
            extra={"transfer_id": message["transfer_id"], "outcome": message["outcome"]},
        )
