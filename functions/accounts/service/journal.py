"""Reading an account's journal: its entries, its balance as of a moment, its statements."""

from collections.abc import Iterator
from typing import Literal, Protocol

from common.clock import Clock, parse, timestamp
from common.errors import Problem, invalid
from common.http.lists import Page, take

from functions.accounts.domain.journal import (
    MAX_LINES,
    MAX_PERIOD,
    Balance,
    JournalHead,
    Statement,
    balance_at,
    balance_now,
    draw_up,
    just_after,
)
from functions.accounts.domain.ledger import Line

Direction = Literal["debit", "credit"]

# So many lines are looked at for one page of a list; where most are no entries, or of the other direction, the page is
# short and its cursor leads on.
_EXAMINED = 1000
# Items a round trip: a filter that drops many lines should not need one for each few that it leaves, and a page
# holds up to two thousand of them.
_FILTERED_ITEMS = 100
_PAGED_ITEMS = 4


class Store(Protocol):
    """What reading a journal needs of a store; reads are consistent."""

    def head(self, account_id: str) -> JournalHead | None:
        """A user's account; None where there is none, or where it is the platform's own."""

    def holder(self, user_id: str) -> str:
        """A user's name, empty where the payee directory does not know it."""

    def last(self, account_id: str, until: str) -> Line | None:
        """The last line before a moment."""

    def lines(
        self, account_id: str, *, since: str | None, until: str | None, position: str | None = None, items: int | None
    ) -> Iterator[tuple[str, Line]]:
        """Lines from `since` on and before `until`, newest first, lazily, each with its position.

        `position` is that of the line before the first; `items` bounds what one round trip reads.
        """


class Journal:
    """What became of users' accounts, line by line.

    Every use raises Problem `not_found` for an account that is neither the caller's nor, to an admin, anyone's.
    """

    def __init__(self, store: Store, now: Clock) -> None:
        self._store = store
        self._now = now

    def entries(
        self,
        account_id: str,
        caller_id: str,
        *,
        is_admin: bool,
        since: str | None = None,
        until: str | None = None,
        direction: Direction | None = None,
        position: str | None = None,
        limit: int,
    ) -> Page:
        """A page of lines that changed the posted balance, newest first: from `since` on and before `until`.

        `position` is that of the entry before the first. A page may be short where more follows.
        """
        head = self._head(account_id, caller_id, is_admin=is_admin)
        # With the line that the cursor names, and one that tells whether another page follows.
        items = _PAGED_ITEMS if head.paged else max(limit + 2, _FILTERED_ITEMS if direction else 0)
        found: list[tuple[str, Line]] = []
        lines = self._store.lines(account_id, since=since, until=until, position=position, items=items)
        for examined, (place, line) in enumerate(lines, 1):
            if _is_entry(line, direction):
                found.append((place, line))
            if len(found) > limit:
                break
            if examined == _EXAMINED:
                return Page([line for _, line in found], place)
        return take(found, limit)

    def balance(self, account_id: str, caller_id: str, *, is_admin: bool, at: str | None) -> Balance:
        """The balance now, or as it was after all that was booked up to and at the moment `at`.

        Raises Problem `validation_failed` for a moment to come.
        """
        now = timestamp(self._now())
        if at is not None and at > now:
            raise invalid("/query/at", "must not be in the future")
        head = self._head(account_id, caller_id, is_admin=is_admin)
        if at is None:
            return balance_now(head, now)
        return balance_at(self._store.last(account_id, just_after(at)), head.currency, at)

    def statement(self, account_id: str, caller_id: str, *, is_admin: bool, since: str, until: str) -> Statement:
        """The statement from `since` on and before `until`, or as far as time has come.

        Raises Problem `validation_failed` for a period that is none, has not begun, or is too long.
        """
        now = timestamp(self._now())
        if until <= since:
            raise invalid("/query/to", "must be later than from")
        if since > now:
            raise invalid("/query/from", "must not be in the future")
        if parse(until) - parse(since) > MAX_PERIOD:
            raise invalid("/query/to", f"must be at most {MAX_PERIOD.days} days after from")
        head = self._head(account_id, caller_id, is_admin=is_admin)
        journal: list[Line] = []
        entries = 0
        # Newest first: what is booked meanwhile is newer than all that is read, and so can't come between.
        for _, line in self._store.lines(account_id, since=since, until=until, items=None):
            journal.append(line)
            entries += line.posted_change != 0
            if entries > MAX_LINES:
                raise invalid("/query/to", f"the period has more than {MAX_LINES:,} lines")
        before = self._store.last(account_id, since)
        journal.reverse()
        return draw_up(head, self._store.holder(head.owner_id), since, until, now, before, journal)

    def _head(self, account_id: str, caller_id: str, *, is_admin: bool) -> JournalHead:
        head = self._store.head(account_id)
        if head is None or not (is_admin or head.owner_id == caller_id):
            raise Problem("not_found")
        return head


def _is_entry(line: Line, direction: Direction | None) -> bool:
    if direction is None:
        return line.posted_change != 0
    return line.posted_change < 0 if direction == "debit" else line.posted_change > 0
