"""Reconciliation of the ledger while it is at work."""

from collections.abc import Callable, Container, Iterable
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from common.clock import Clock, timestamp
from common.contracts.events import Event

from functions.accounts.domain.reconciliation.findings import Report
from functions.accounts.domain.reconciliation.inspection import Inspection
from functions.accounts.domain.reconciliation.pairs import bucket

if TYPE_CHECKING:
    from functions.accounts.store.reconciliation import ReconciliationStore

INSPECTIONS = 3
PAUSE_SECONDS = 3.0
# By then a decision is committed and pending entries are folded.
_SETTLING_TIME = timedelta(minutes=1)
# Accounts that are read again one by one. If there are more, they are left to later reconciliations.
_RECHECKED_ACCOUNTS = 1000
_EVENT_FINDINGS = 10
# The invariant about expectations. Heads have to be read before the expectations that they count.
_EXPECTATIONS = 3


class Reconciliation:
    """Checks the ledger. `wait` waits for a number of seconds before another inspection."""

    def __init__(self, store: "ReconciliationStore", now: Clock, wait: Callable[[float], None]) -> None:
        self._store = store
        self._now = now
        self._wait = wait

    def run(self) -> Report:
        """Inspect every item, inspect again what is wrong, and store what stays wrong as a report.

        An event is published if the drifts differ from those of the report before, so not every hour.
        """
        inspection = self._inspect(())
        drifts, unbalanced = inspection.drifts(), inspection.unbalanced
        watched = frozenset(unbalanced)
        for _ in range(INSPECTIONS - 1):
            if not drifts and not unbalanced:
                break
            self._wait(PAUSE_SECONDS)
            inspection = self._inspect(watched, {drift.id for drift in drifts if drift.number == _EXPECTATIONS})
            known = {(drift.number, drift.id) for drift in drifts}
            drifts = [
                drift
                for drift in inspection.drifts()
                if (drift.number, drift.id) in known or bucket(drift.id) in unbalanced
            ]
            unbalanced = set()
        number, digest = self._store.last_report()
        at = self._now()
        report = Report(
            number=number + 1,
            at=timestamp(at),
            accounts=inspection.accounts,
            entries=inspection.lines,
            unread=len(inspection.moving),
            drifts=tuple(drifts),
            overdue=tuple(inspection.overdue),
        )
        event = None
        if report.drifts and report.digest != digest:
            event = Event.new("ledger.drifted", "ledger", report.number, at, _event_data(report))
        self._store.add_report(report, event)
        return report

    def _inspect(self, watched: Container[int], suspects: Iterable[str] = ()) -> Inspection:
        until = timestamp(self._now() - _SETTLING_TIME)
        incoming = self._store.incoming(islice(sorted(suspects), _RECHECKED_ACCOUNTS))
        inspection = Inspection(self._store.items(), until=until, watched=watched, incoming=incoming)
        for account_id in islice(sorted({*inspection.faults, *inspection.moving}), _RECHECKED_ACCOUNTS):
            inspection.recheck(account_id, self._store.account(account_id))
        return inspection


def _event_data(report: Report) -> dict[str, object]:
    first = report.drifts[:_EVENT_FINDINGS]
    return {
        "drifts": len(report.drifts),
        "accounts": report.accounts,
        "entries": report.entries,
        "findings": [{"invariant": drift.title, "id": drift.id, "what": drift.what} for drift in first],
    }
