"""Folding: pending credits of an account are booked with version and balance, a batch at a time."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from common.clock import Clock, timestamp
from common.errors import Stale
from common.retry import pause, retry_on_conflict

from functions.accounts.domain import folding, ledger
from functions.accounts.domain.folding import FoldedBatch, FoldHead, PendingCredit

if TYPE_CHECKING:
    from functions.accounts.store.folding import FoldingStore

_ATTEMPTS = 12
# Several folders of an account that was booked on this recently would only conflict, so they take turns.
_RECENTLY = timedelta(seconds=1)
# Longer than a turn takes. If a folder dies in its turn, the others wait this long.
_TURN = timedelta(seconds=1)


class Folding:
    """Folds pending credits into the journals of their accounts."""

    def __init__(self, store: "FoldingStore", now: Clock, wait: Callable[[int], None] = pause) -> None:
        self._store = store
        self._now = now
        self._wait = wait

    def fold_all(self, account_id: str) -> None:
        """Book all pending credits of an account. Raises Contended as `fold` does."""
        self.fold(account_id, range(ledger.PENDING_SHARDS))

    def fold(self, account_id: str, shards: Sequence[int]) -> None:
        """Book the credits that are pending in these shards, each once.

        Several folders of one account take turns, and a turn takes all shards, so one folder does the work of many.
        Work that another folder left half done is finished first. Raises Contended if no turn was free in time.
        """
        unbooked: set[PendingCredit] | None = None
        read_all = False

        def attempt() -> None:
            nonlocal unbooked, read_all
            now = self._now()
            # The head is read before the pending credits. So if a credit was folded in between, the head has changed
            # and refuses the next batch, or the credit is deleted already.
            head = self._store.head(account_id)
            pending = self._store.pending(account_id, shards, folding.BATCH_CREDITS)
            if unbooked is None:
                unbooked = {*pending}
                most = max(Counter(credit.shard for credit in pending).values(), default=0)
                read_all = most < folding.BATCH_CREDITS
            unbooked &= {*pending}
            if unbooked:
                is_busy = head.clean < head.fold or head.line_at > timestamp(now - _RECENTLY)
                booked = self._in_turn(account_id, now) if is_busy else self._fold(head, pending)
                if not booked:
                    raise Stale
                unbooked -= {*booked}

        while unbooked or not read_all:
            if not unbooked:
                unbooked = None
            retry_on_conflict(attempt, attempts=_ATTEMPTS, wait=self._wait)

    def _in_turn(self, account_id: str, now: datetime) -> Sequence[PendingCredit]:
        until = timestamp(now + _TURN)
        if not self._store.take_turn(account_id, timestamp(now), until):
            return ()
        head = self._store.head(account_id)
        shards = range(ledger.PENDING_SHARDS)
        booked = self._fold(head, self._store.pending(account_id, shards, -(-folding.BATCH_CREDITS // len(shards))))
        self._store.end_turn(account_id, until)
        return booked

    def _fold(self, head: FoldHead, pending: Sequence[PendingCredit]) -> Sequence[PendingCredit]:
        """Book a batch, or finish the last one, and return its credits; none if another folder was faster."""
        if head.clean < head.fold:
            batch: FoldedBatch | None = self._store.last_batch(head)
        else:
            batch = self._book(head, pending) if pending else None
        if batch is None:
            return ()
        self._store.clear(batch)
        return batch.credits

    def _book(self, head: FoldHead, pending: Sequence[PendingCredit]) -> FoldedBatch | None:
        """Return the batch as it is booked; None if another folder was faster.

        A debit in between changes the head, but the same credits are still pending, so the batch is planned again.
        """

        def attempt() -> FoldedBatch | None:
            nonlocal head
            batch = folding.plan_batch(head, pending, timestamp(self._now()))
            current = self._store.add_batch(head, batch)
            if current is None:
                return batch
            if (current.fold, current.clean) != (head.fold, head.clean):
                return None
            head = current
            raise Stale

        return retry_on_conflict(attempt, attempts=_ATTEMPTS, wait=lambda number: None)
