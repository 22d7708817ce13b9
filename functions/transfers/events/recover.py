"""Every minute: transfers that should have ended by now are started again."""

from typing import Any

from common.observability import logger

from functions.transfers.bootstrap import service


def handler(event: dict[str, Any], context: Any) -> None:
    """Recovers one bounded lot; what is left is due in the next minute too."""
    logger().info("recovered", extra=service().recover())
