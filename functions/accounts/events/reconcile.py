"""The schedule of every hour: reconciles the ledger with itself."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from common.observability import logger, metrics

from functions.accounts.bootstrap import reconciliation

_MAX_LOGGED = 100


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Publish and return how much was checked and how many drifts were found. The log has the drifts."""
    report = reconciliation().run()
    counts = {"drifts": len(report.drifts), "accounts": report.accounts, "entries": report.entries}
    meter = metrics()
    for name, count in counts.items():
        meter.add_metric(f"Ledger{name.capitalize()}", MetricUnit.Count, count)
    meter.flush_metrics()
    log = logger()
    for drift in report.drifts[:_MAX_LOGGED]:
        log.error("ledger drifted", extra={"invariant": drift.title, "subject": drift.id, "what": drift.what})
    for overdue in report.overdue[:_MAX_LOGGED]:
        log.warning("expectation overdue", extra={"subject": overdue.id, "what": overdue.what})
    log.info("ledger reconciled", extra={**counts, "unread": report.unread})
    return counts
