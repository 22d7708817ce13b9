"""The table's stream of new pending credits: folds them into the journals of their accounts."""

from collections import defaultdict
from typing import Any

from common.observability import logger

from functions.accounts.bootstrap import folding


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Fold each account of the batch once. Returns the records of those that failed, which are delivered again."""
    shards: dict[str, set[int]] = defaultdict(set)
    records: dict[str, list[str]] = defaultdict(list)
    for record in batch["Records"]:
        _, account_id, shard = record["dynamodb"]["Keys"]["pk"]["S"].split("#")
        shards[account_id].add(int(shard))
        records[account_id].append(record["dynamodb"]["SequenceNumber"])
    failed: list[str] = []
    log = logger()
    for account_id, written in shards.items():
        try:
            folding().fold(account_id, sorted(written))
        except Exception:
            log.exception("fold failed", extra={"account_id": account_id})
            failed += records[account_id]
    log.info("pending credits folded", extra={"records": len(batch["Records"]), "failed": len(failed)})
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
