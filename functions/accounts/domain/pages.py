"""Pages: what a system account's inbox held, folded into its journal."""

from collections.abc import Iterable
from dataclasses import dataclass

from functions.accounts.domain.ledger import system_currency

# A folded line takes some 150 bytes of the 400 KB that an item may have.
PAGE_LINES = 1000


@dataclass(frozen=True, slots=True)
class SystemHead:
    """A system account's folded balance. Pages number `fold`; of those before `clean` no entry is left in the inbox."""

    account_id: str
    currency: str
    posted: int = 0
    version: int = 0
    line_at: str = ""
    fold: int = 0
    clean: int = 0


@dataclass(frozen=True, slots=True)
class PageLine:
    """One folded entry, and the shard whose inbox it came from."""

    transfer_id: str
    step: str
    change: int
    at: str
    shard: int


@dataclass(frozen=True, slots=True)
class Page:
    """Entries folded at once: the system account's version and balance before and after them."""

    account_id: str
    page: int
    at: str
    opening_version: int
    opening_posted: int
    version: int
    posted: int
    lines: tuple[PageLine, ...]


def new_system_head(account_id: str) -> SystemHead:
    """A system account before its first fold."""
    return SystemHead(account_id, system_currency(account_id))


def plan_page(head: SystemHead, lines: Iterable[PageLine], now: str) -> Page:
    """The next page of a system account."""
    ordered = tuple(sorted(lines, key=lambda line: (line.at, line.transfer_id, line.step)))
    return Page(
        account_id=head.account_id,
        page=head.fold + 1,
        at=max(now, head.line_at),
        opening_version=head.version,
        opening_posted=head.posted,
        version=head.version + len(ordered),
        posted=head.posted + sum(line.change for line in ordered),
        lines=ordered,
    )
