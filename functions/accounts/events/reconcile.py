"""Every hour: the ledger is reconciled with itself."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from common.observability import logger, metrics

from functions.accounts.bootstrap.reconciliation import service

_LOGGED = 100


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Counts what was checked and what is wrong, as metrics and as the answer; the log has what is wrong."""
    report = service().run()
    counts = {"drifts": len(report.drifts), "accounts": report.accounts, "entries": report.entries}
    meter = metrics()
    for name, count in counts.items():
        meter.add_metric(f"Ledger{name.capitalize()}", MetricUnit.Count, count)
    meter.flush_metrics()
    log = logger()
    for drift in report.drifts[:_LOGGED]:
        log.error("ledger drifted", extra={"invariant": drift.title, "subject": drift.id, "what": drift.what})
    log.info("reconciled", extra={**counts, "unread": report.unread})
    return counts
