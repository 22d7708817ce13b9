"""Reading the journal's items (docs/data.md)."""

from collections.abc import Iterator

from common.dynamo import Item, Table

from functions.accounts.domain.journal import JournalHead
from functions.accounts.domain.ledger import JournalLine
from functions.accounts.store import keys
from functions.accounts.store.folding import batch_of
from functions.accounts.store.heads import fields_of


class JournalStore:
    """The accounts table as readers of a journal use it. Reads are consistent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self, account_id: str) -> JournalHead | None:
        """Return a user's account; None if it does not exist or is a system account."""
        item = self._table.get(keys.head(account_id))
        if item is None or "owner_id" not in item:
            return None
        return JournalHead(**fields_of(JournalHead, item), has_batches=item.get("fold", 0) > 0)

    def holder(self, user_id: str) -> str:
        """Return a user's name, empty if there is no such payee."""
        payee = self._table.get(keys.payee(user_id))
        return f"{payee['first_name']} {payee['last_name']}".strip() if payee else ""

    def last(self, account_id: str, until: str) -> JournalLine | None:
        """Return the last line before a time."""
        return next((line for _, line in self.lines(account_id, since=None, until=until, items=1)), None)

    def lines(
        self, account_id: str, *, since: str | None, until: str | None, position: str | None = None, items: int | None
    ) -> Iterator[tuple[str, JournalLine]]:
        """Yield lines from `since` to before `until`, newest first, lazily, each with its position.

        `position` is that of the last line read before. A position is the sort key of the line's item, followed by the
        line's version if the item has older lines. `items` is the number of items per round trip.
        """
        at, _, version = (position or "").partition("#")
        version, _, inside = version.partition("#")
        resumed = f"{at}#{version}" if position else None
        low = since or " "
        high = min(bound for bound in (resumed, until, "~") if bound is not None)
        if low > high:
            return
        for item in self._table.query(keys.journal(account_id), between=(low, high), limit=items, descending=True):
            key, oldest_first = item["sk"], lines_of(item)
            for line in reversed(oldest_first):
                number = f"{line.version:012}"
                if key == resumed and number >= inside:
                    continue
                yield (key if line is oldest_first[0] else f"{key}#{number}"), line


def lines_of(item: Item) -> list[JournalLine]:
    """Return the lines of a journal's item, oldest first: one line, or those of a batch."""
    return batch_of(item).lines() if "page" in item else [JournalLine(**fields_of(JournalLine, item))]
