"""The ledger's use cases. Each step has one effect and one outcome, however often it is called."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from common.clock import Clock, timestamp
from common.contracts.accounts import (
    Expect,
    ExpectOutcome,
    HoldOutcome,
    Post,
    PostOutcome,
    Refuse,
    Release,
    Reserve,
    Settle,
)
from common.retry import pause, retry_on_conflict

from functions.accounts.domain import holds, postings
from functions.accounts.domain.holds import Hold
from functions.accounts.domain.ledger import Head, is_system

if TYPE_CHECKING:
    from functions.accounts.store.ledger import LedgerStore

_LAPSES_PER_SHARD = 100
# A credit of a hot account has no condition on its head, so the head may be a little out of date. If each credit read
# it, the head would be one hot item again. Closing waits much longer than this after an account was hot.
_HOT_FOR = timedelta(seconds=5)


class Ledger:
    """Moves money between accounts. Every step raises Contended if its accounts kept changing.

    `fold` folds all pending credits of an account, and may raise Contended.
    """

    def __init__(
        self, store: "LedgerStore", now: Clock, fold: Callable[[str], None], wait: Callable[[int], None] = pause
    ) -> None:
        self._store = store
        self._now = now
        self._fold = fold
        self._wait = wait
        self._hot: dict[str, tuple[datetime, Head]] = {}

    def expect(self, request: Expect) -> ExpectOutcome:
        """Keep an account open for money, once per transfer, until the posting step has an outcome.

        Refusals are outcomes. Raises ValueError if no caller may make this request.
        """
        postings.check_expect(request)

        def attempt() -> ExpectOutcome:
            found, heads = self._store.expectation(request.transfer_id, request.account_id)
            if found is None:
                found = self._store.expect(postings.plan_expect(request, heads, self._time()))
            return found.reply

        return retry_on_conflict(attempt, wait=self._wait)

    def post(self, request: Post) -> PostOutcome:
        """Move money, once. Refusals are outcomes. Raises ValueError if no caller may make this request."""
        postings.check_post(request)
        source, destination = request.source_account_id, request.destination_account_id
        accounts = _ordinary(source, destination)

        def attempt() -> PostOutcome:
            hot = self._recently_hot(destination)
            unread = [account_id for account_id in accounts if account_id not in hot]
            result, heads = self._store.posting(request.transfer_id, request.step, unread)
            if result is None:
                self._remember(heads.get(destination))
                heads |= hot | self._folded(heads.get(source), request.amount)
                result = self._store.record(postings.plan_post(request, heads, self._time()))
            return result.reply

        return retry_on_conflict(attempt, wait=self._wait)

    def refuse(self, request: Refuse) -> PostOutcome:
        """Record that a step never posts, and return its outcome, which may be an earlier posting.

        Raises ValueError if no posting can have this step.
        """
        postings.check_step(request.step)

        def attempt() -> PostOutcome:
            return self._store.record(postings.plan_refuse(request, self._time())).reply

        return retry_on_conflict(attempt, wait=self._wait)

    def reserve(self, request: Reserve) -> HoldOutcome:
        """Hold money, once per transfer. Raises ValueError if no caller may make this request."""
        holds.check_reserve(request)

        def attempt() -> HoldOutcome:
            hold, heads = self._store.holding(request.transfer_id, [request.account_id])
            if hold is None:
                heads |= self._folded(heads.get(request.account_id), request.amount)
                hold = self._store.open_hold(holds.plan_reserve(request, heads, self._time()))
            return hold.reply

        return retry_on_conflict(attempt, wait=self._wait)

    def settle(self, request: Settle) -> HoldOutcome:
        """Pay an open hold, in full or in part, and release the rest. A hold that is past its time lapses instead.

        If the destination can't be paid, the outcome is `declined` and the hold stays open. Raises ValueError if no
        caller may make this request.
        """

        def attempt() -> HoldOutcome:
            hold, _ = self._store.holding(request.transfer_id)
            if hold is None:
                return HoldOutcome("not_found")
            if hold.status != "open":
                return hold.reply
            now = self._time()
            if hold.is_past(now):
                return self._give_back(hold, now)
            holds.check_settle(request, hold)
            heads = self._store.heads(_ordinary(hold.account_id, request.destination_account_id))
            change = holds.plan_settle(request, hold, heads, now)
            if isinstance(change, str):
                return HoldOutcome("declined", change)
            return self._store.resolve_hold(change).reply

        return retry_on_conflict(attempt, wait=self._wait)

    def release(self, request: Release) -> HoldOutcome:
        """Release an open hold, or let it lapse if it is past its time. A hold that is made later will hold nothing."""

        def attempt() -> HoldOutcome:
            hold, _ = self._store.holding(request.transfer_id)
            hold = hold or self._store.open_hold(holds.plan_early_release(request.transfer_id, self._time()))
            return hold.reply if hold.status != "open" else self._give_back(hold, self._time())

        return retry_on_conflict(attempt, wait=self._wait)

    def lapsing(self) -> Iterator[str]:
        """Yield the transfers of one batch of holds that are past their time. The rest is found by the next call."""
        return self._store.lapsing(self._time(), _LAPSES_PER_SHARD)

    def lapse(self, transfer_id: str) -> HoldOutcome:
        """Release an open hold that is past its time. Any other hold stays as it is."""

        def attempt() -> HoldOutcome:
            hold, _ = self._store.holding(transfer_id)
            if hold is None:
                return HoldOutcome("not_found")
            now = self._time()
            if hold.status != "open" or not hold.is_past(now):
                return hold.reply
            return self._give_back(hold, now)

        return retry_on_conflict(attempt, wait=self._wait)

    def _folded(self, head: Head | None, amount: int) -> dict[str, Head]:
        """Return an account with its pending credits folded, if it needs them to pay `amount`; else nothing."""
        if head is None or not head.may_have_pending or head.available >= amount:
            return {}
        self._fold(head.account_id)
        return self._store.heads([head.account_id])

    def _recently_hot(self, account_id: str) -> dict[str, Head]:
        """Return a payee that was hot when it was read a moment ago; else nothing."""
        read_at, head = self._hot.get(account_id, (None, None))
        return {account_id: head} if head and read_at and self._now() - read_at < _HOT_FOR else {}

    def _remember(self, payee: Head | None) -> None:
        if payee and payee.hot:
            self._hot[payee.account_id] = self._now(), payee

    def _give_back(self, hold: Hold, now: str) -> HoldOutcome:
        heads = self._store.heads([hold.account_id])
        return self._store.resolve_hold(holds.plan_release(hold, heads, now)).reply

    def _time(self) -> str:
        return timestamp(self._now())


def _ordinary(*accounts: str) -> list[str]:
    return [account_id for account_id in accounts if not is_system(account_id)]
