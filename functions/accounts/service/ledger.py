"""The ledger's use cases. Each step has one effect and one answer, however often and in whatever order it is asked."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from typing import Literal, Protocol, TypeVar

from common.clock import Clock, timestamp
from common.errors import Problem
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Release, Reserve, Settle

from functions.accounts.domain import holds, ledger, pages
from functions.accounts.domain.holds import Hold, HoldChange
from functions.accounts.domain.ledger import Head, Line, Marker, Posting
from functions.accounts.domain.pages import Page, PageLine, SystemHead

_ATTEMPTS = 8

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

    def lines(
        self,
        account_id: str,
        *,
        since: str | None,
        until: str | None,
        direction: Literal["debit", "credit"] | None,
        position: str | None,
        limit: int,
    ) -> Iterator[tuple[str, Line]]:
        """Lines that changed the posted balance, newest first, lazily, each with its position."""

    def owner_of(self, account_id: str) -> str | None:
        """Whose account this is; None where there is none, or where it is the platform's own."""

    def system_head(self, account_id: str) -> SystemHead | None:
        """A system account's folded balance; None before its first fold."""

    def inbox(self, account_id: str, shard: int) -> Iterator[PageLine]:
        """What waits in one shard of an inbox, lazily."""

    def last_page(self, account_id: str) -> Page:
        """The newest page of a system account that has one."""

    def add_page(self, head: SystemHead, page: Page) -> bool:
        """Books a page, unless the account moved on since `head` was read."""

    def clear_inbox(self, page: Page) -> None:
        """Removes what a booked page holds from the inbox, and only then notes that none of it is left there."""


class Ledger:
    """Moves money between accounts. `pause` waits, with jitter and longer with each attempt, before the next one."""

    def __init__(self, store: Store, now: Clock, pause: Callable[[int], None]) -> None:
        self._store = store
        self._now = now
        self._pause = pause

    def post(self, request: Post) -> PostOutcome:
        """Moves money, once. A rule's no is an outcome; raises ValueError for what no caller may ask, and Busy."""
        ledger.check_post(request)
        accounts = _ordinary(request.source_account_id, request.destination_account_id)

        def attempt() -> PostOutcome | None:
            marker, heads = self._store.posting(request.transfer_id, request.step, accounts)
            marker = marker or self._store.record(ledger.plan_post(request, heads, self._time()))
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
            hold = hold or self._store.open_hold(holds.plan_reserve(request, heads, self._time()))
            return hold.answer if hold else None

        return self._persist(attempt)

    def settle(self, request: Settle) -> HoldOutcome:
        """Pays an open hold, in full or in part, and releases the rest.

        A destination that can't be paid is `declined` and leaves the hold open. Raises ValueError for what no caller
        may ask, and Busy.
        """

        def attempt() -> HoldOutcome | None:
            hold, _ = self._store.holding(request.transfer_id)
            if hold is None:
                return HoldOutcome("not_found")
            if hold.status != "open":
                return hold.answer
            holds.check_settle(request, hold)
            heads = self._store.heads(_ordinary(hold.account_id, request.destination_account_id))
            change = holds.plan_settle(request, hold, heads, self._time())
            if isinstance(change, str):
                return HoldOutcome("declined", change)
            resolved = self._store.resolve_hold(change)
            return resolved.answer if resolved else None

        return self._persist(attempt)

    def release(self, request: Release) -> HoldOutcome:
        """Gives an open hold back. One that is not there yet will never hold anything. Raises Busy."""

        def attempt() -> HoldOutcome | None:
            hold, _ = self._store.holding(request.transfer_id)
            hold = hold or self._store.open_hold(holds.plan_early_release(request.transfer_id, self._time()))
            assert hold is not None  # an early release touches no account that could move on
            if hold.status != "open":
                return hold.answer
            heads = self._store.heads([hold.account_id])
            resolved = self._store.resolve_hold(holds.plan_release(hold, heads, self._time()))
            return resolved.answer if resolved else None

        return self._persist(attempt)

    def fold(self, account_id: str, shards: Collection[int]) -> None:
        """Books what waits in these shards of a system account's inbox, page by page, each entry once.

        What an earlier folder left half done is finished first. Raises Busy where others kept folding the account.
        """

        def attempt() -> bool | None:
            # The head is read before the inbox: an entry that a page holds already is then either gone from the inbox,
            # or the head has moved on and refuses the next page.
            head = self._store.system_head(account_id) or pages.new_system_head(account_id)
            if head.clean < head.fold:
                self._store.clear_inbox(self._store.last_page(account_id))
                return False
            waiting = chain.from_iterable(self._store.inbox(account_id, shard) for shard in shards)
            lines = list(islice(waiting, pages.PAGE_LINES))
            if not lines:
                return True
            page = pages.plan_page(head, lines, self._time())
            if not self._store.add_page(head, page):
                return None
            self._store.clear_inbox(page)
            return len(lines) < pages.PAGE_LINES

        while not self._persist(attempt):
            pass

    def entries(
        self,
        account_id: str,
        caller_id: str,
        *,
        is_admin: bool,
        since: str | None = None,
        until: str | None = None,
        direction: Literal["debit", "credit"] | None = None,
        position: str | None = None,
        limit: int,
    ) -> Iterator[tuple[str, Line]]:
        """An account's entries, newest first, lazily, each with its position: from `since` on and before `until`.

        `position` is that of the entry before the first; a reader takes `limit` of them and looks at one more. Raises
        Problem `not_found` for an account that is neither the caller's nor, to an admin, anyone's.
        """
        owner_id = self._store.owner_of(account_id)
        if owner_id is None or not (is_admin or owner_id == caller_id):
            raise Problem("not_found")
        return self._store.lines(
            account_id, since=since, until=until, direction=direction, position=position, limit=limit
        )  # fmt: skip

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
