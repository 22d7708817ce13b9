"""Reading an account's journal: balances as of a time, and statements.

Amounts are integers in minor units. Times are text as `common.clock.timestamp` writes it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import accumulate, takewhile

from common import clock
from common.errors import RemitError

from functions.accounts.domain.ledger import JournalLine

MAX_LINES = 10_000
MAX_PERIOD = timedelta(days=366)

# Lambda returns at most 6 MB. A line takes up to 300 bytes without its description.
_DESCRIPTIONS_BYTES = 2_500_000


class JournalCorrupt(RemitError):
    """The lines of a journal do not follow from one another: something other than the ledger has changed them."""


@dataclass(frozen=True, slots=True)
class JournalHead:
    """An account as the readers of its journal need it. `has_batches` means that some lines are in folded batches."""

    account_id: str
    owner_id: str
    name: str
    currency: str
    posted: int
    held: int
    available: int
    has_batches: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's balance at a time."""

    posted: int
    held: int
    available: int
    currency: str
    at: str


@dataclass(frozen=True)
class Statement:
    """An account's entries from `since` (inclusive) to `until` (exclusive), oldest first.

    `closing` is the balance at `closing_at`. `lines` are the lines that change the posted balance. `holder` is the
    owner's name, empty if it is not known.
    """

    account_id: str
    account_name: str
    holder: str
    currency: str
    since: str
    until: str
    closing_at: str
    opening: int
    closing: int
    lines: tuple[JournalLine, ...]

    @cached_property
    def credits(self) -> int:
        """The sum of all credits."""
        return sum(line.posted_change for line in self.lines if line.posted_change > 0)

    @cached_property
    def debits(self) -> int:
        """The sum of all debits, as a positive amount."""
        return -sum(line.posted_change for line in self.lines if line.posted_change < 0)


def balance_now(head: JournalHead, now: str) -> Balance:
    """Return the balance of the head."""
    return Balance(head.posted, head.held, head.available, head.currency, now)


def balance_at(last: JournalLine | None, currency: str, at: str) -> Balance:
    """Return the balance after `last`, the last line at or before `at`; zero if there is none."""
    if last is None:
        return Balance(0, 0, 0, currency, at)
    return Balance(last.posted, last.held, last.posted - last.held + last.credit_limit, currency, at)


def make_statement(
    head: JournalHead,
    holder: str,
    since: str,
    until: str,
    now: str,
    before: JournalLine | None,
    journal: Sequence[JournalLine],
) -> Statement:
    """Return the statement over `journal`, all lines of the period, oldest first; `before` is the last line before it.

    Raises JournalCorrupt if a line does not have the version and balance that follow from the line before it.
    """
    opening = posted = before.posted if before else 0
    version = before.version if before else 0
    for line in journal:
        posted, version = posted + line.posted_change, version + 1
        if (line.posted, line.version) != (posted, version):
            raise JournalCorrupt(f"{line.account_id} at version {line.version}")
    return Statement(
        account_id=head.account_id,
        account_name=head.name,
        holder=holder,
        currency=head.currency,
        since=since,
        until=until,
        closing_at=min(until, now),
        opening=opening,
        closing=posted,
        lines=_fitted([line for line in journal if line.posted_change]),
    )


def just_after(at: str) -> str:
    """Return the next time after `at`. Times have milliseconds."""
    return clock.timestamp(clock.parse(at) + timedelta(milliseconds=1))


def _fitted(lines: Sequence[JournalLine]) -> tuple[JournalLine, ...]:
    """Return the lines. If their descriptions are too long for one response, each is cut to its share."""
    if sum(_size(line.description) for line in lines) <= _DESCRIPTIONS_BYTES:
        return tuple(lines)
    share = _DESCRIPTIONS_BYTES // len(lines)
    return tuple(replace(line, description=_cut(line.description, share)) for line in lines)


def _size(text: str) -> int:
    """Return the bytes of a text in a response: JSON, escaped again as part of the function's result."""
    return len(json.dumps(json.dumps(text))) - 6


def _cut(text: str, size: int) -> str:
    if _size(text) <= size:
        return text
    left = size - _size("…")
    costs = {char: _size(char) for char in set(text)}
    fits = takewhile(lambda spent: spent <= left, accumulate(costs[char] for char in text))
    return text[: sum(1 for _ in fits)] + "…"
