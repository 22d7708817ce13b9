"""The ledger's use cases. Each step has one effect and one answer, however often and in whatever order it is asked."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from common.clock import Clock, timestamp
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle

from functions.accounts.domain import holds, ledger
from functions.accounts.domain.holds import Hold, HoldChange
from functions.accounts.domain.ledger import Head, Marker, Posting

_ATTEMPTS = 8
_LAPSED_A_SHARD = 100
# A credit of a hot account stands on no condition, so what it was read to be may as well be a little older: read each
# time, its head would be one hot item again. Closing waits much longer than this after an account was hot.
_HOT_FOR = timedelta(seconds=5)

AnswerT = TypeVar("AnswerT")


class Busy(Exception):
    """Accounts kept changing under a step until our patience was spent. Calling again is harmless."""


class Store(Protocol):
    """What the ledger needs of its table: consistent reads, and writes that hold only for what was read."""

    def posting(self, transfer_id: str, step: str, accounts: Iterable[str]) -> tuple[Marker | None, dict[str, Head]]:
        """A step's marker, where there is one, and those of `accounts` that exist."""

    def holding(self, transfer_id: str, accounts: Iterable[str] = ()) -> tuple[Hold | None, dict[str, Head]]:
        """The hold of a transfer, where there is one, and those of `accounts` that exist."""

    def heads(self, accounts: Iterable[str]) -> dict[str, Head]:
        """Those of `accounts` that exist."""

    def record(self, posting: Posting) -> Marker | None:
        """Writes a step once: answers its marker as it stands now, None where an account moved on since it was read."""

    def open_hold(self, change: HoldChange) -> Hold | None:
        """Writes a hold once: answers it as it stands now, None where its account moved on since it was read."""

    def resolve_hold(self, change: HoldChange) -> Hold | None:
        """Resolves an open hold once: answers it as it stands now, None where an account moved on since it was read."""

    def lapsing(self, now: str, limit: int) -> Iterator[str]:
        """The transfers whose open holds are past their time, at most `limit` a shard; resolved ones may linger."""


class Ledger:
    """Moves money between accounts.

    `pause` waits, with jitter and longer with each attempt, before the next one. `fold` books what waits in an
    account's inbox, and may raise Busy.
    """

    def __init__(
        self, store: Store, now: Clock, pause: Callable[[int], None], fold: Callable[[str], None]
    ) -> None:  # fmt: skip
        self._store = store
        self._now = now
        self._pause = pause
        self._fold = fold
        self._hot: dict[str, tuple[datetime, Head]] = {}

    def post(self, request: Post) -> PostOutcome:
        """Moves money, once. A rule's no is an outcome; raises ValueError for what no caller may ask, and Busy."""
        ledger.check_post(request)
        source, destination = request.source_account_id, request.destination_account_id
        accounts = _ordinary(source, destination)

        def attempt() -> PostOutcome | None:
            hot = self._lately_hot(destination)
            unread = [account_id for account_id in accounts if account_id not in hot]
            marker, heads = self._store.posting(request.transfer_id, request.step, unread)
            if marker is None:
                self._remember(heads.get(destination))
                heads |= hot | self._folded(heads.get(source), request.amount)
                marker = self._store.record(ledger.plan_post(request, heads, self._time()))
            return marker.answer if marker else None

        return self._persist(attempt)

    def refuse(self, request: Refuse) -> PostOutcome:
        """Makes sure that a step never posts; answers what became of it, be that a posting made before.

        Raises ValueError for a step that no posting may have.
        """
        ledger.check_step(request.step)
        marker = self._store.record(ledger.plan_refuse(request, self._time()))
        assert marker is not None  # a refusal touches no account that could move on
        return marker.answer

    def reserve(self, request: Reserve) -> HoldOutcome:
        """Sets money aside, once a transfer. Raises ValueError for what no caller may ask, and Busy."""
        holds.check_reserve(request)

        def attempt() -> HoldOutcome | None:
            hold, heads = self._store.holding(request.transfer_id, [request.account_id])
            if hold is None:
                heads |= self._folded(heads.get(request.account_id), request.amount)
                hold = self._store.open_hold(holds.plan_reserve(request, heads, self._time()))
            return hold.answer if hold else None

        return self._persist(attempt)

    def settle(self, request: Settle) -> HoldOutcome:
        """Pays an open hold, in full or in part, and releases the rest; one that is past its time lapses instead.

        A destination that can't be paid is `declined` and leaves the hold open. Raises ValueError for what no caller
        may ask, and Busy.
        """

        def attempt() -> HoldOutcome | None:
            hold, _ = self._store.holding(request.transfer_id)
            if hold is None:
                return HoldOutcome("not_found")
            if hold.status != "open":
                return hold.answer
            now = self._time()
            if hold.is_past(now):
                return self._give_back(hold, now)
            holds.check_settle(request, hold)
            heads = self._store.heads(_ordinary(hold.account_id, request.destination_account_id))
            change = holds.plan_settle(request, hold, heads, now)
            if isinstance(change, str):
                return HoldOutcome("declined", change)
            resolved = self._store.resolve_hold(change)
            return resolved.answer if resolved else None

        return self._persist(attempt)

    def release(self, request: Release) -> HoldOutcome:
        """Gives an open hold back: released, or lapsed where its time is over.

        One that is not there yet will never hold anything. Raises Busy.
        """

        def attempt() -> HoldOutcome | None:
            hold, _ = self._store.holding(request.transfer_id)
            hold = hold or self._store.open_hold(holds.plan_early_release(request.transfer_id, self._time()))
            assert hold is not None  # an early release touches no account that could move on
            return hold.answer if hold.status != "open" else self._give_back(hold, self._time())

        return self._persist(attempt)

    def lapsing(self) -> Iterator[str]:
        """The transfers whose holds' time is over, a bounded lot; what is left, or fails, is found again."""
        return self._store.lapsing(self._time(), _LAPSED_A_SHARD)

    def lapse(self, transfer_id: str) -> HoldOutcome:
        """Gives an open hold back whose time is over; answers what became of any other. Raises Busy."""

        def attempt() -> HoldOutcome | None:
            hold, _ = self._store.holding(transfer_id)
            if hold is None:
                return HoldOutcome("not_found")
            now = self._time()
            if hold.status != "open" or not hold.is_past(now):
                return hold.answer
            return self._give_back(hold, now)

        return self._persist(attempt)

    def _folded(self, head: Head | None, amount: int) -> dict[str, Head]:
        """An account with an inbox that is short of `amount`, with what waited in it; nothing for any other."""
        if head is None or not head.has_inbox or head.available >= amount:
            return {}
        self._fold(head.account_id)
        return self._store.heads([head.account_id])

    def _lately_hot(self, account_id: str) -> dict[str, Head]:
        """A payee that was hot when it was read, if that was a moment ago; nothing for any other."""
        read_at, head = self._hot.get(account_id, (None, None))
        return {account_id: head} if head and read_at and self._now() - read_at < _HOT_FOR else {}

    def _remember(self, payee: Head | None) -> None:
        if payee and payee.hot:
            self._hot[payee.account_id] = self._now(), payee

    def _give_back(self, hold: Hold, now: str) -> HoldOutcome | None:
        heads = self._store.heads([hold.account_id])
        resolved = self._store.resolve_hold(holds.plan_release(hold, heads, now))
        return resolved.answer if resolved else None

    def _persist(self, attempt: Callable[[], AnswerT | None]) -> AnswerT:
        """What `attempt` answers once the accounts stood still for it; None asks for another try."""
        for number in range(_ATTEMPTS):
            if number:
                self._pause(number)
            answer = attempt()
            if answer is not None:
                return answer
        raise Busy

    def _time(self) -> str:
        return timestamp(self._now())


def _ordinary(*accounts: str) -> list[str]:
    return [account_id for account_id in accounts if not ledger.is_system(account_id)]
