"""Reading an account's journal: its entries, its balance as of a time, its statements."""

from typing import TYPE_CHECKING, Literal

from common.clock import Clock, parse, timestamp
from common.errors import Refusal, invalid
from common.paging import Page, take

from functions.accounts.domain.journal import (
    MAX_LINES,
    MAX_PERIOD,
    Balance,
    JournalHead,
    Statement,
    balance_at,
    balance_now,
    just_after,
    make_statement,
)
from functions.accounts.domain.ledger import JournalLine

if TYPE_CHECKING:
    from functions.accounts.store.journal import JournalStore

Direction = Literal["debit", "credit"]

# The most lines read for one page of a list. If few of them match, the page is short, and its cursor continues.
_MAX_LINES_READ = 1000
# Items per round trip. A filter may drop most lines, and a batch holds up to two thousand of them.
_FILTERED_ITEMS = 100
_BATCHED_ITEMS = 4


class Journal:
    """The journals of users' accounts.

    Every use raises Refusal `not_found` unless the account exists and the caller owns it or is an admin.
    """

    def __init__(self, store: "JournalStore", now: Clock) -> None:
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
        """Return a page of the lines from `since` to before `until` that changed the posted balance, newest first.

        `position` is that of the last entry of the page before. A page may be short although more entries follow.
        """
        head = self._head(account_id, caller_id, is_admin=is_admin)
        # The line that the cursor names is read again, and one more line shows whether another page follows.
        items = _BATCHED_ITEMS if head.has_batches else max(limit + 2, _FILTERED_ITEMS if direction else 0)
        found: list[tuple[str, JournalLine]] = []
        lines = self._store.lines(account_id, since=since, until=until, position=position, items=items)
        for count, (line_position, line) in enumerate(lines, 1):
            if _is_entry(line, direction):
                found.append((line_position, line))
            if len(found) > limit:
                break
            if count == _MAX_LINES_READ:
                return Page([line for _, line in found], line_position)
        return take(found, limit)

    def balance(self, account_id: str, caller_id: str, *, is_admin: bool, at: str | None) -> Balance:
        """Return the balance now, or after everything booked up to and at the time `at`.

        Raises Refusal `validation_failed` if `at` is in the future.
        """
        now = timestamp(self._now())
        if at is not None and at > now:
            raise invalid("/query/at", "must not be in the future")
        head = self._head(account_id, caller_id, is_admin=is_admin)
        if at is None:
            return balance_now(head, now)
        return balance_at(self._store.last(account_id, just_after(at)), head.currency, at)

    def statement(self, account_id: str, caller_id: str, *, is_admin: bool, since: str, until: str) -> Statement:
        """Return the statement from `since` to before `until`, or up to now if `until` is in the future.

        Raises Refusal `validation_failed` if the period is empty, begins in the future, or is too long.
        """
        now = timestamp(self._now())
        if until <= since:
            raise invalid("/query/to", "must be later than from")
        if since > now:
            raise invalid("/query/from", "must not be in the future")
        if parse(until) - parse(since) > MAX_PERIOD:
            raise invalid("/query/to", f"must be at most {MAX_PERIOD.days} days after from")
        head = self._head(account_id, caller_id, is_admin=is_admin)
        journal: list[JournalLine] = []
        entries = 0
        # Newest first: a line that is booked meanwhile is newer than all that are read, so it can't come in between.
        for _, line in self._store.lines(account_id, since=since, until=until, items=None):
            journal.append(line)
            entries += line.posted_change != 0
            if entries > MAX_LINES:
                raise invalid("/query/to", f"the period has more than {MAX_LINES:,} lines")
        before = self._store.last(account_id, since)
        journal.reverse()
        return make_statement(head, self._store.holder(head.owner_id), since, until, now, before, journal)

    def _head(self, account_id: str, caller_id: str, *, is_admin: bool) -> JournalHead:
        head = self._store.head(account_id)
        if head is None or not (is_admin or head.owner_id == caller_id):
            raise Refusal("not_found")
        return head


def _is_entry(line: JournalLine, direction: Direction | None) -> bool:
    if direction is None:
        return line.posted_change != 0
    return line.posted_change < 0 if direction == "debit" else line.posted_change > 0
