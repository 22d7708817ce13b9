"""What an account's journal says: balances as of a moment, and statements whose ends provably meet.

Amounts are integers in minor units. Times are text as `common.clock.timestamp` writes it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import accumulate, takewhile

from common import clock

from functions.accounts.domain.ledger import Line

MAX_LINES = 10_000
MAX_PERIOD = timedelta(days=366)

# Lambda answers with 6 MB at most. A line takes up to 300 bytes without its description.
_DESCRIPTIONS = 2_500_000


class Torn(Exception):
    """A journal whose lines do not follow from one another: somebody wrote to it past the ledger."""


@dataclass(frozen=True, slots=True)
class JournalHead:
    """An account as the readers of its journal need it; a `paged` one has pages between its lines."""

    account_id: str
    owner_id: str
    name: str
    currency: str
    posted: int
    held: int
    available: int
    paged: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's balance at a moment."""

    posted: int
    held: int
    available: int
    currency: str
    at: str


@dataclass(frozen=True)
class Statement:
    """An account's entries from `since` on and before `until`, oldest first; `closing` is the balance at `closing_at`.

    `lines` are entries only; `holder` is the owner's name, empty where it is not known.
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
    lines: tuple[Line, ...]

    @cached_property
    def credits(self) -> int:
        """What came in."""
        return sum(line.posted_change for line in self.lines if line.posted_change > 0)

    @cached_property
    def debits(self) -> int:
        """What went out, as a positive amount."""
        return -sum(line.posted_change for line in self.lines if line.posted_change < 0)


def balance_now(head: JournalHead, now: str) -> Balance:
    """The balance that the head says."""
    return Balance(head.posted, head.held, head.available, head.currency, now)


def balance_at(last: Line | None, currency: str, at: str) -> Balance:
    """The balance after the last line at or before `at`; nothing before the first."""
    if last is None:
        return Balance(0, 0, 0, currency, at)
    return Balance(last.posted, last.held, last.posted - last.held + last.credit_limit, currency, at)


def draw_up(
    head: JournalHead, holder: str, since: str, until: str, now: str, before: Line | None, journal: Sequence[Line]
) -> Statement:
    """The statement over `journal`: all lines of the period, oldest first; `before` is the last one before it.

    Raises Torn where the lines do not lead from the opening balance to the closing one, version by version.
    """
    opening = posted = before.posted if before else 0
    version = before.version if before else 0
    for line in journal:
        posted, version = posted + line.posted_change, version + 1
        if (line.posted, line.version) != (posted, version):
            raise Torn(f"{line.account_id} at version {line.version}")
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
        lines=_fitting([line for line in journal if line.posted_change]),
    )


def just_after(at: str) -> str:
    """The moment after `at`: times are kept to the millisecond."""
    return clock.timestamp(clock.parse(at) + timedelta(milliseconds=1))


def _fitting(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines, their descriptions cut where all of them together are too much for one answer."""
    if sum(_cost(line.description) for line in lines) <= _DESCRIPTIONS:
        return tuple(lines)
    share = _DESCRIPTIONS // len(lines)
    return tuple(replace(line, description=_cut(line.description, share)) for line in lines)


def _cost(text: str) -> int:
    """The bytes of a text in an answer: JSON, escaped once more as the text of a function's result."""
    return len(json.dumps(json.dumps(text))) - 6


def _cut(text: str, size: int) -> str:
    if _cost(text) <= size:
        return text
    left = size - _cost("…")
    costs = {char: _cost(char) for char in set(text)}
    fits = takewhile(lambda spent: spent <= left, accumulate(costs[char] for char in text))
    return text[: sum(1 for _ in fits)] + "…"
