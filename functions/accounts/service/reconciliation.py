"""Reconciling the ledger with itself while it is at work."""

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Protocol

from common.clock import Clock, timestamp
from common.events import Event

from functions.accounts.domain.reconciliation import Drift, Item, Look, Report, bucket

LOOKS = 3
PAUSE = 3.0
# Within this, what was decided is committed, and an inbox is folded.
_SETTLED = timedelta(minutes=1)
# Accounts that are read again one by one; those beyond have their turn in another hour.
_RECHECKED = 1000
_TOLD = 10


class Store(Protocol):
    """What reconciling needs of the table. Every read is consistent by itself."""

    def items(self) -> Iterator[Item]:
        """Every item, those of a partition together and in the order of their keys."""

    def account(self, account_id: str) -> Iterator[Item]:
        """An account's head, then its journal."""

    def last_report(self) -> tuple[int, str]:
        """The number and the digest of the last report; 0 and empty where there is none."""

    def add_report(self, report: Report, told: Event | None) -> bool:
        """Keeps a report, with the event that tells of it, unless another one has taken its number."""


class Reconciliation:
    """Checks the ledger. `pause` waits so many seconds before another look."""

    def __init__(self, store: Store, now: Clock, pause: Callable[[float], None]) -> None:
        self._store = store
        self._now = now
        self._pause = pause

    def run(self) -> Report:
        """Checks every item, looks again at what is wrong, and keeps what stays wrong as a report.

        Drifts are told of by an event when they are others than in the report before: once, not every hour.
        """
        look = self._look(())
        drifts, loose = look.drifts(), look.loose
        watched = frozenset(loose)
        for _ in range(LOOKS - 1):
            if not drifts and not loose:
                break
            self._pause(PAUSE)
            look = self._look(watched)
            known = {(drift.number, drift.id) for drift in drifts}
            drifts = [
                drift for drift in look.drifts() if (drift.number, drift.id) in known or bucket(drift.id) in loose
            ]
            loose = set()
        number, digest = self._store.last_report()
        at = self._now()
        report = Report(number + 1, timestamp(at), look.accounts, look.lines, len(look.moving), tuple(drifts))
        event = None
        if report.drifts and report.digest != digest:
            event = Event.new("ledger.drifted", "ledger", report.number, at, told(report))
        self._store.add_report(report, event)
        return report

    def _look(self, watched: Container[int]) -> Look:
        until = timestamp(self._now() - _SETTLED)
        look = Look(self._store.items(), until=until, watched=watched)
        for account_id in islice(sorted({*look.faults, *look.moving}), _RECHECKED):
            look.recheck(account_id, self._store.account(account_id))
        return look


def told(report: Report) -> dict[str, object]:
    """A report as an event tells of it: how much, and the first drifts with the ids of what they concern."""
    return {
        "drifts": len(report.drifts),
        "accounts": report.accounts,
        "entries": report.entries,
        "findings": described(report.drifts[:_TOLD]),
    }


def described(drifts: Iterable[Drift]) -> list[dict[str, str]]:
    """Drifts as they are kept and told: what should hold, the id, and what is wrong with it."""
    return [{"invariant": drift.title, "id": drift.id, "what": drift.what} for drift in drifts]
