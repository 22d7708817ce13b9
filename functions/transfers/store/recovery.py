"""The index of transfers that are due."""

from collections.abc import Iterator
from itertools import islice

from common.dynamo import ConditionFailed, Table, Update

from functions.transfers.domain.recovery import DueTransfer
from functions.transfers.store import keys


class RecoveryStore:
    """Due transfers, and who recovers them."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def due(self, shard: str, now: str, limit: int) -> Iterator[DueTransfer]:
        """Yield the first `limit` transfers of a shard that were due before `now`."""
        rows = self._table.query(shard, before=now, index=keys.DUE_INDEX, limit=limit)
        return (DueTransfer(row["pk"].removeprefix("T#"), row["due_at"]) for row in islice(rows, limit))

    def claim(self, due: DueTransfer, next_due_at: str) -> bool:
        """Claim a due transfer until `next_due_at`. Returns False if another run has claimed it, or it has ended."""
        update = Update(
            keys.record(due.transfer_id),
            set={"due_at": next_due_at},
            add={"attempts": 1},
            where=[("due_at", "=", due.due_at)],
        )
        try:
            self._table.update(update)
        except ConditionFailed:
            return False
        return True
