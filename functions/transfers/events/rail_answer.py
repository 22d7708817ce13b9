"""The rail's queue: what a card network or bank says about a deposit is handed to the saga that waits for it."""

from typing import Any

from common.events import consume_messages

from functions.transfers.bootstrap import sagas


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers which messages failed, so that only those come again. The token they carry is never logged."""
    return consume_messages(batch, context, _resume)


def _resume(message: dict[str, Any]) -> None:
    sagas().resume(message["task_token"], {"outcome": message["outcome"], "code": message["code"]})
