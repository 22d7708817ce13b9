"""The schedule of recovery, every minute."""

from typing import Any

from common.observability import logger

from functions.transfers.bootstrap import recovery


def handler(event: dict[str, Any], context: Any) -> None:
    """Recover one batch of due transfers."""
    logger().info("transfers recovered", extra=recovery().run())
