"""The schedule of every minute: releases the holds that have lapsed."""

from typing import Any

from common.observability import logger

from functions.accounts.bootstrap import ledger


def handler(event: dict[str, Any], context: Any) -> None:
    """Lapse one batch, each hold by itself. What is left or failed is picked up in the next minute."""
    log = logger()
    lapsed, failed = [], []
    for transfer_id in ledger().lapsing():
        try:
            if ledger().lapse(transfer_id).outcome == "lapsed":
                lapsed.append(transfer_id)
        except Exception:
            log.exception("lapse failed", extra={"transfer_id": transfer_id})
            failed.append(transfer_id)
    log.info("holds lapsed", extra={"lapsed": lapsed, "failed": failed})
