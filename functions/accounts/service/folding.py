"""Folding: what waits in an account's inbox is booked with version and balance, page by page."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from common.clock import Clock, timestamp

from functions.accounts.domain import ledger, pages
from functions.accounts.domain.pages import FoldHead, Page, PageLine
from functions.accounts.service.ledger import Busy

_ATTEMPTS = 12
# An account that was booked on so lately may have many folders, who would only refuse one another: they take turns.
_LATELY = timedelta(seconds=1)
# Longer than a turn takes; where a folder dies in its turn, the next one waits so long.
_TURN = timedelta(seconds=1)


class Store(Protocol):
    """What folding needs of its table: consistent reads, and writes that hold only for what was read."""

    def head(self, account_id: str) -> FoldHead:
        """An account as it stands; a system account is new before its first fold."""

    def inbox(self, account_id: str, shards: Sequence[int], each: int) -> list[PageLine]:
        """What waits in these shards of an inbox, at most `each` of a shard."""

    def page(self, head: FoldHead) -> Page:
        """The newest page of an account that has one."""

    def take_turn(self, account_id: str, now: str, until: str) -> bool:
        """Makes others wait for their turn until a moment, or until it is ended; False where it is somebody else's."""

    def end_turn(self, account_id: str, until: str) -> None:
        """Ends a turn that would last until a moment, unless somebody else has theirs by now."""

    def add_page(self, head: FoldHead, page: Page) -> FoldHead | None:
        """Books a page: None where it did, the account as it stands where it moved on since `head` was read."""

    def clear(self, page: Page) -> None:
        """Removes what a booked page holds from the inbox, and only then notes that none of it is left there."""


class Folding:
    """Folds inboxes. `pause` waits, with jitter and longer with each attempt, before the next one."""

    def __init__(self, store: Store, now: Clock, pause: Callable[[int], None]) -> None:
        self._store = store
        self._now = now
        self._pause = pause

    def fold_all(self, account_id: str) -> None:
        """Books what waits in an account's whole inbox. Raises Busy as `fold`."""
        self.fold(account_id, range(ledger.INBOX_SHARDS))

    def fold(self, account_id: str, shards: Sequence[int]) -> None:
        """Books what waits in these shards of an inbox, each entry once.

        Where many fold an account at once, they take turns, and whose turn it is takes all shards: one books what many
        were called for. What one left half done that died is finished first. Raises Busy where it never was our turn.
        """
        tries = 0
        called_for: set[PageLine] | None = None
        read_all = False
        while tries < _ATTEMPTS:
            if tries:
                self._pause(tries)
            now = self._now()
            # The head is read before the inbox: an entry that a page holds already is then either gone from the inbox,
            # or the head has moved on and refuses the next page.
            head = self._store.head(account_id)
            waiting = self._store.inbox(account_id, shards, pages.PAGE_LINES)
            if called_for is None:
                called_for = {*waiting}
                read_all = max(Counter(line.shard for line in waiting).values(), default=0) < pages.PAGE_LINES
            called_for &= {*waiting}
            if called_for:
                is_busy = head.clean < head.fold or head.line_at > timestamp(now - _LATELY)
                booked = self._in_turn(account_id, now) if is_busy else self._fold(head, waiting)
                called_for -= {*booked}
                tries = 0 if booked else tries + 1
            if not called_for:
                if read_all:
                    return
                called_for = None
        raise Busy

    def _in_turn(self, account_id: str, now: datetime) -> Sequence[PageLine]:
        until = timestamp(now + _TURN)
        if not self._store.take_turn(account_id, timestamp(now), until):
            return ()
        head = self._store.head(account_id)
        shards = range(ledger.INBOX_SHARDS)
        booked = self._fold(head, self._store.inbox(account_id, shards, -(-pages.PAGE_LINES // len(shards))))
        self._store.end_turn(account_id, until)
        return booked

    def _fold(self, head: FoldHead, waiting: Sequence[PageLine]) -> Sequence[PageLine]:
        """Books a page of what waits, or finishes the last one, and answers its lines; none where another was first."""
        if head.clean < head.fold:
            page: Page | None = self._store.page(head)
        else:
            page = self._book(head, waiting) if waiting else None
        if page is None:
            return ()
        self._store.clear(page)
        return page.lines

    def _book(self, head: FoldHead, waiting: Sequence[PageLine]) -> Page | None:
        """The page as it is booked; None where another folder was first.

        A debit that comes between moves the head on and stops nothing: what waits is still in no page.
        """
        for _ in range(_ATTEMPTS):
            page = pages.plan_page(head, waiting, timestamp(self._now()))
            stands = self._store.add_page(head, page)
            if stands is None:
                return page
            if (stands.fold, stands.clean) != (head.fold, head.clean):
                return None
            head = stands
        return None
