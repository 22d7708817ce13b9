"""The published reader: what tools outside this context may use to read items of the accounts table."""

from collections.abc import Iterable

from functions.accounts.domain.ledger import JournalLine
from functions.accounts.domain.reconciliation.accounts import Item, entries_of
from functions.accounts.domain.reconciliation.findings import Finding, Violation
from functions.accounts.domain.reconciliation.inspection import Inspection
from functions.accounts.store.journal import lines_of

__all__ = ["Finding", "Item", "JournalLine", "Violation", "check_items", "entries_of", "lines_of"]


def check_items(items: Iterable[Item]) -> list[Finding]:
    """Return the invariants 1 to 5 and 8 with their violations. `items` are all items, in the order of their keys."""
    return Inspection(items).findings()
