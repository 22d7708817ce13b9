"""Pending credits of system accounts and hot accounts, and the batches that they are folded into (docs/data.md)."""

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol, TypeVar

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Item, Put, Table, Term, Update, Where, Write
from common.events import OUTBOX

from functions.accounts.domain.folding import FoldedBatch, FoldHead, PendingCredit, new_head
from functions.accounts.domain.ledger import is_system
from functions.accounts.store import keys
from functions.accounts.store.heads import fields_of

# The most items of one call of BatchWriteItem.
_DELETES_PER_CALL = 25

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")


class Map(Protocol):
    """Makes independent calls: one after the other as `map` does, or concurrently as an executor's `map` does."""

    def __call__(self, call: Callable[[ArgumentT], ResultT], arguments: Iterable[ArgumentT], /) -> Iterable[ResultT]:
        """Return the results in order."""


class FoldingStore:
    """The accounts table as folding uses it. Reads are consistent, and every write has conditions."""

    def __init__(self, table: Table, map_calls: Map = map) -> None:
        self._table = table
        self._map = map_calls

    def head(self, account_id: str) -> FoldHead:
        """Return an account as it stands. A system account has no item before its first batch."""
        item = self._table.get(keys.head(account_id))
        return _head(item) if item else new_head(account_id)

    def pending(self, account_id: str, shards: Sequence[int], per_shard: int) -> list[PendingCredit]:
        """Return the credits that are pending in these shards, at most `per_shard` of each."""
        return list(chain.from_iterable(self._map(partial(self._shard, account_id, per_shard), shards)))

    def last_batch(self, head: FoldHead) -> FoldedBatch:
        """Return the last batch of an account that has one."""
        found = self._table.query(keys.journal(head.account_id), descending=True, where=[("page", "=", head.fold)])
        return batch_of(next(found))

    def take_turn(self, account_id: str, now: str, until: str) -> bool:
        """Take the turn of an account until a time. Returns False if another folder has it."""
        return self._put_turn(account_id, until, ("until", "absent or <=", now))

    def end_turn(self, account_id: str, until: str) -> None:
        """End the turn that was taken until this time, unless another folder has the turn by now."""
        self._put_turn(account_id, " ", ("until", "=", until))

    def add_batch(self, head: FoldHead, batch: FoldedBatch) -> FoldHead | None:
        """Book a batch. Returns None, or, if the account is no longer as in `head`, the account as it stands."""
        try:
            self._table.transact([_head_write(head, batch), Put(_batch_item(batch), ABSENT)])
        except Cancelled as cancelled:
            current = cancelled.reasons[0].old
            return _head(current) if current else self.head(head.account_id)
        return None

    def clear(self, batch: FoldedBatch) -> None:
        """Delete the pending credits of a booked batch, and only then count the batch as clean."""
        pending = [
            keys.pending_credit(batch.account_id, each.shard, each.transfer_id, each.step) for each in batch.credits
        ]
        calls = [pending[start : start + _DELETES_PER_CALL] for start in range(0, len(pending), _DELETES_PER_CALL)]
        for _ in self._map(self._table.batch_delete, calls):
            pass
        where: Where = (("fold", "=", batch.number), ("clean", "absent or =", batch.number - 1))
        try:
            self._table.update(Update(keys.head(batch.account_id), set={"clean": batch.number}, where=where))
        except ConditionFailed:
            # Another folder has cleared the same batch.
            return

    def _put_turn(self, account_id: str, until: str, where: Term) -> bool:
        try:
            self._table.put(keys.keyed(keys.turn(account_id)) | {"until": until}, [where])
        except ConditionFailed:
            return False
        return True

    def _shard(self, account_id: str, limit: int, shard: int) -> list[PendingCredit]:
        items = islice(self._table.query(keys.pending_credits(account_id, shard), limit=limit), limit)
        return [
            PendingCredit(item["transfer_id"], item["step"], item["change"], item["at"], shard, item["description"])
            for item in items
        ]


def batch_of(item: Item) -> FoldedBatch:
    """Return the batch that a journal's item describes."""
    folded = tuple(PendingCredit(**credit) for credit in json.loads(zlib.decompress(item["lines"])))
    return FoldedBatch(**fields_of(FoldedBatch, item), number=item["page"], credits=folded)


def _batch_item(batch: FoldedBatch) -> Item:
    item: Item = {
        **keys.keyed(keys.line(batch.account_id, batch.at, batch.version)),
        "account_id": batch.account_id,
        "currency": batch.currency,
        "page": batch.number,
        "at": batch.at,
        "opening_version": batch.opening_version,
        "opening_posted": batch.opening_posted,
        "version": batch.version,
        "posted": batch.posted,
        "held": batch.held,
        "lines": zlib.compress(json.dumps([credit._asdict() for credit in batch.credits]).encode()),
    }
    if batch.credit_limit:
        item["credit_limit"] = batch.credit_limit
    return item


def _head(item: Item) -> FoldHead:
    return FoldHead(**fields_of(FoldHead, item))


def _head_write(head: FoldHead, batch: FoldedBatch) -> Write:
    after: dict[str, Any] = {
        "posted": batch.posted,
        "available": batch.posted - batch.held + batch.credit_limit,
        "version": batch.version,
        "line_at": batch.at,
        "fold": batch.number,
    }
    if is_system(head.account_id) and not head.fold:
        fixed = {"account_id": head.account_id, "currency": head.currency, "held": 0, "clean": 0}
        return Put(keys.keyed(keys.head(head.account_id)) | fixed | after, ABSENT)
    where: Where = (
        ("version", "=", head.version),
        ("fold", "absent or =", head.fold),
        ("clean", "absent or =", head.fold),
    )
    # The events of an earlier change. If they stayed, each batch would invoke the publisher for nothing.
    return Update(keys.head(head.account_id), set=after, remove=[OUTBOX], where=where)
