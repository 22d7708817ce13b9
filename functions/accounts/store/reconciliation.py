"""The accounts table as the reconciliation reads it, and the reports that it stores."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from common import clock
from common.contracts.events import Event
from common.dynamo import ABSENT, Cancelled, Item, Put, Table, Where
from common.events import outbox

from functions.accounts.domain.reconciliation.findings import Report
from functions.accounts.store import keys

_PARTITION = "R#reconciliation"
_LATEST = (_PARTITION, "latest")
_RETENTION = timedelta(days=400)
# An item has at most 400 KB, and a drift takes about 200 bytes.
_MAX_DRIFTS = 500


class ReconciliationStore:
    """The accounts table as the reconciliation uses it. Each read is consistent by itself."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def items(self) -> Iterator[Item]:
        """Yield every item, partition by partition, in the order of their keys."""
        return self._table.scan()

    def account(self, account_id: str) -> Iterator[Item]:
        """Yield an account's head, then its journal."""
        head = self._table.get(keys.head(account_id))
        if head:
            yield head
        yield from self._table.query(keys.journal(account_id))

    def incoming(self, account_ids: Iterable[str]) -> dict[str, int]:
        """Return how many expectations the heads of accounts count. Accounts without a head are left out."""
        heads = ((account_id, self._table.get(keys.head(account_id))) for account_id in account_ids)
        return {account_id: head.get("incoming", 0) for account_id, head in heads if head}

    def last_report(self) -> tuple[int, str]:
        """Return the number and the digest of the last report; 0 and empty if there is none."""
        latest = self._table.get(_LATEST)
        return (latest["number"], latest["digest"]) if latest else (0, "")

    def add_report(self, report: Report, event: Event | None) -> bool:
        """Store a report, with its event if it has one. Returns False if another report has its number."""
        item: Item = {
            "pk": _PARTITION,
            "sk": report.at,
            "number": report.number,
            "accounts": report.accounts,
            "entries": report.entries,
            "unread": report.unread,
            "drifts": len(report.drifts),
            "findings": [drift._asdict() for drift in report.drifts[:_MAX_DRIFTS]],
            "expires_at": int((clock.parse(report.at) + _RETENTION).timestamp()),
            **(outbox(event) if event else {}),
        }
        latest = {"pk": _LATEST[0], "sk": _LATEST[1], "number": report.number, "digest": report.digest}
        before: Where = [("number", "=", report.number - 1)] if report.number > 1 else ABSENT
        try:
            self._table.transact([Put(item, ABSENT), Put(latest, before)])
        except Cancelled:
            return False
        return True
