"""The queue of rail answers, which are recorded, and resume the sagas that wait for them."""

from typing import Any

from common.events import consume_messages
from common.observability import logger

from functions.transfers.bootstrap import rail_answers
from functions.transfers.domain.deposits import RailAnswer


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch. Returns the failed messages, which are delivered again. Their task token is never logged."""
    return consume_messages(batch, context, _handle)


def _handle(message: dict[str, Any]) -> None:
    # Messages that were sent before there were refunds have no operation.
    operation = message.get("operation", "collect")
    answer = RailAnswer(message["transfer_id"], operation, message["outcome"], message["code"])
    if not rail_answers().handle(answer, message["task_token"]):
        # A second delivery, or one after the execution has ended. The answer is in the record.
        logger().warning(
            "rail answer recorded: execution already finished",
            extra={"transfer_id": answer.transfer_id, "operation": operation, "outcome": answer.outcome},
        )
