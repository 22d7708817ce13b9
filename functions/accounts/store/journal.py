"""Reading the journal's items (docs/data.md)."""

from collections.abc import Iterator

from common.dynamo import Item, Table

from functions.accounts.domain.journal import JournalHead
from functions.accounts.domain.ledger import Line
from functions.accounts.domain.pages import expand
from functions.accounts.store import keys
from functions.accounts.store.items import page_of


class JournalStore:
    """The accounts table as the journal's readers use it. Every read is consistent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self, account_id: str) -> JournalHead | None:
        """A user's account; None where there is none, or where it is the platform's own."""
        item = self._table.get(keys.head(account_id))
        if item is None or "owner_id" not in item:
            return None
        return JournalHead(
            account_id=account_id,
            owner_id=item["owner_id"],
            name=item["name"],
            currency=item["currency"],
            posted=item["posted"],
            held=item["held"],
            available=item["available"],
            paged=item.get("fold", 0) > 0,
        )

    def holder(self, user_id: str) -> str:
        """A user's name, empty where the payee directory does not know it."""
        payee = self._table.get(keys.payee(user_id))
        return f"{payee['first_name']} {payee['last_name']}".strip() if payee else ""

    def last(self, account_id: str, until: str) -> Line | None:
        """The last line before a moment."""
        return next((line for _, line in self.lines(account_id, since=None, until=until, items=1)), None)

    def lines(
        self, account_id: str, *, since: str | None, until: str | None, position: str | None = None, items: int | None
    ) -> Iterator[tuple[str, Line]]:
        """Lines from `since` on and before `until`, newest first, lazily, each with its position.

        `position` is that of the line before the first: the sort key of its item where that has no older line, else
        followed by the line's version. `items` bounds what one round trip reads.
        """
        at, _, version = (position or "").partition("#")
        version, _, inside = version.partition("#")
        resumed = f"{at}#{version}" if position else None
        low = since or " "
        high = min(bound for bound in (resumed, until, "~") if bound is not None)
        if low > high:
            return
        for item in self._table.query(keys.journal(account_id), between=(low, high), limit=items, descending=True):
            key, oldest_first = item["sk"], _lines_of(item)
            for line in reversed(oldest_first):
                number = f"{line.version:012}"
                if key == resumed and number >= inside:
                    continue
                yield (key if line is oldest_first[0] else f"{key}#{number}"), line


def _lines_of(item: Item) -> list[Line]:
    """The lines of an item, oldest first."""
    return expand(page_of(item)) if "page" in item else [_line(item)]


def _line(item: Item) -> Line:
    return Line(
        account_id=item["account_id"],
        version=item["version"],
        at=item["at"],
        currency=item["currency"],
        posted_change=item["posted_change"],
        held_change=item["held_change"],
        posted=item["posted"],
        held=item["held"],
        transfer_id=item["transfer_id"],
        step=item["step"],
        entry_id=item["entry_id"],
        description=item["description"],
        credit_limit=item.get("credit_limit", 0),
    )
