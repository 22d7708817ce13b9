"""Every minute: holds whose time is over are given back."""

from typing import Any

from common.observability import logger

from functions.accounts.bootstrap.ledger import service


def handler(event: dict[str, Any], context: Any) -> None:
    """Lapses one bounded lot, each hold on its own; what is left, or failed, is found in the next minute too."""
    log = logger()
    lapsed, failed = [], []
    for transfer_id in service().lapsing():
        try:
            if service().lapse(transfer_id).outcome == "lapsed":
                lapsed.append(transfer_id)
        except Exception:
            log.exception("lapse failed", extra={"transfer_id": transfer_id})
            failed.append(transfer_id)
    log.info("lapsed", extra={"lapsed": lapsed, "failed": failed})
