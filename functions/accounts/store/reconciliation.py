"""The accounts table as reconciliation reads it, and where its reports are kept."""

from collections.abc import Iterator
from datetime import timedelta

from common import clock
from common.dynamo import ABSENT, Cancelled, Item, Put, Table
from common.events import Event, outbox

from functions.accounts.domain.reconciliation import Report
from functions.accounts.store import keys

_PARTITION = "R#reconciliation"
_LATEST = (_PARTITION, "latest")
_KEPT = timedelta(days=400)
# An item has 400 KB, and a drift takes some 200 bytes.
_MOST = 500


class ReconciliationTable:
    """`service.reconciliation.Store` over the accounts table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def items(self) -> Iterator[Item]:
        """Every item, those of a partition together and in the order of their keys."""
        return self._table.scan()

    def account(self, account_id: str) -> Iterator[Item]:
        """An account's head, then its journal."""
        head = self._table.get(keys.head(account_id))
        if head:
            yield head
        yield from self._table.query(keys.journal(account_id))

    def last_report(self) -> tuple[int, str]:
        """The number and the digest of the last report; 0 and empty where there is none."""
        latest = self._table.get(_LATEST)
        return (latest["number"], latest["digest"]) if latest else (0, "")

    def add_report(self, report: Report, told: Event | None) -> bool:
        """Keeps a report, with the event that tells of it, unless another one has taken its number."""
        item: Item = {
            "pk": _PARTITION,
            "sk": report.at,
            "number": report.number,
            "accounts": report.accounts,
            "entries": report.entries,
            "unread": report.unread,
            "drifts": len(report.drifts),
            "findings": [drift._asdict() for drift in report.drifts[:_MOST]],
            "expires_at": int((clock.parse(report.at) + _KEPT).timestamp()),
            **(outbox(told) if told else {}),
        }
        latest = {"pk": _LATEST[0], "sk": _LATEST[1], "number": report.number, "digest": report.digest}
        before = [("number", "=", report.number - 1)] if report.number > 1 else ABSENT
        try:
            self._table.transact([Put(item, ABSENT), Put(latest, before)])
        except Cancelled:
            return False
        return True
