"""Pages: what an account's inbox held, folded into its journal."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from common import clock, ids

from functions.accounts.domain.ledger import Line, system_currency

# What a folder takes at once. A page of that many lines is some 60 KB.
PAGE_LINES = 2000
# As text, before it is deflated: an item has 400 KB, and not everything deflates.
PAGE_BYTES = 360 * 1024
_LINE_BYTES = 160


@dataclass(frozen=True, slots=True)
class FoldHead:
    """An account as its folder needs it. Pages number `fold`; of those before `clean` no entry is left in the inbox."""

    account_id: str
    currency: str
    posted: int = 0
    held: int = 0
    credit_limit: int = 0
    version: int = 0
    line_at: str = ""
    fold: int = 0
    clean: int = 0


class PageLine(NamedTuple):
    """One folded entry: when it was committed, and the shard whose inbox it came from."""

    transfer_id: str
    step: str
    change: int
    at: str
    shard: int
    description: str

    @property
    def size(self) -> int:
        """At most how many bytes it takes in a page."""
        return _LINE_BYTES + len(self.step) + len(json.dumps(self.description))


@dataclass(frozen=True, slots=True)
class Page:
    """Entries folded at once: the account's version and balance before and after them; the rest stayed as it was."""

    account_id: str
    currency: str
    page: int
    at: str
    opening_version: int
    opening_posted: int
    version: int
    posted: int
    held: int
    credit_limit: int
    lines: tuple[PageLine, ...]


def new_head(account_id: str) -> FoldHead:
    """A system account before its first fold."""
    return FoldHead(account_id, system_currency(account_id))


def plan_page(head: FoldHead, waiting: Iterable[PageLine], now: str) -> Page:
    """The next page of an account: of what waits the oldest, as much as an item has room for."""
    lines: list[PageLine] = []
    room = PAGE_BYTES
    for line in sorted(waiting, key=lambda line: (line.at, line.transfer_id, line.step))[:PAGE_LINES]:
        room -= line.size
        if room < 0:
            break
        lines.append(line)
    return Page(
        account_id=head.account_id,
        currency=head.currency,
        page=head.fold + 1,
        at=max(now, head.line_at),
        opening_version=head.version,
        opening_posted=head.posted,
        version=head.version + len(lines),
        posted=head.posted + sum(line.change for line in lines),
        held=head.held,
        credit_limit=head.credit_limit,
        lines=tuple(lines),
    )


def expand(page: Page) -> list[Line]:
    """The journal lines that a page stands for, oldest first: booked at its time, each with the balance after it."""
    lines: list[Line] = []
    posted = page.opening_posted
    for version, line in enumerate(page.lines, page.opening_version + 1):
        posted += line.change
        lines.append(
            Line(
                account_id=page.account_id,
                version=version,
                at=page.at,
                currency=page.currency,
                posted_change=line.change,
                held_change=0,
                posted=posted,
                held=page.held,
                transfer_id=line.transfer_id,
                step=line.step,
                entry_id=ids.derived_id("ent", clock.parse(line.at), line.transfer_id, line.step, page.account_id),
                description=line.description,
                credit_limit=page.credit_limit,
            )
        )
    return lines
