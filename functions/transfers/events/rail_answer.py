"""The rail's queue: what a card network or bank says about a deposit is handed to the saga that waits for it."""

from typing import Any

from common.events import consume_messages
from common.observability import logger

from functions.transfers.bootstrap import sagas


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers which messages failed, so that only those come again. The token they carry is never logged."""
    return consume_messages(batch, context, _resume)


def _resume(message: dict[str, Any]) -> None:
    outcome = {"outcome": message["outcome"], "code": message["code"]}
    if not sagas().resume(message["task_token"], outcome):
        # A second delivery, or one after the deposit had failed: then the rail has money to give back.
        told = {"transfer_id": message["transfer_id"], "outcome": message["outcome"]}
        logger().warning("nobody waits for the rail's answer", extra=told)
