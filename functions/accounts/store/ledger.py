"""The ledger's items: heads, journal lines, markers, holds, inboxes and pages (docs/data.md)."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Item, Key, Put, Table, Update, Where, Write

from functions.accounts.domain.holds import Hold, HoldChange
from functions.accounts.domain.ledger import Booking, Head, InboxEntry, Leg, Line, Marker, Posting
from functions.accounts.domain.pages import Page, PageLine, SystemHead

_DIRECTIONS: dict[str | None, Where] = {
    "debit": (("posted_change", "<", 0),),
    "credit": (("posted_change", ">", 0),),
    None: (("posted_change", "<>", 0),),
}
# A filter that drops many lines should not make a round trip for each few that it leaves.
_FILTERED_PAGE = 200


class LedgerStore:
    """The accounts table as the ledger uses it. Every write stands on conditions; a read is consistent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def posting(self, transfer_id: str, step: str, accounts: Iterable[str]) -> tuple[Marker | None, dict[str, Head]]:
        """A step's marker, where there is one, and those of `accounts` that exist."""
        key = _step_key(transfer_id, step)
        found = self._table.batch_get([key, *map(_head_key, accounts)])
        marker = found.pop(key, None)
        return (_marker(marker) if marker else None), _heads(found)

    def holding(self, transfer_id: str, accounts: Iterable[str] = ()) -> tuple[Hold | None, dict[str, Head]]:
        """The hold of a transfer, where there is one, and those of `accounts` that exist."""
        key = _step_key(transfer_id, "hold")
        found = self._table.batch_get([key, *map(_head_key, accounts)])
        hold = found.pop(key, None)
        return (_hold(hold) if hold else None), _heads(found)

    def heads(self, accounts: Iterable[str]) -> dict[str, Head]:
        """Those of `accounts` that exist."""
        return _heads(self._table.batch_get(map(_head_key, accounts)))

    def record(self, posting: Posting) -> Marker | None:
        """Writes a step once: answers its marker as it stands now, None where an account moved on since it was read."""
        marker = posting.marker
        item: Item = {
            **_keyed(_step_key(marker.transfer_id, marker.step)),
            "transfer_id": marker.transfer_id,
            "step": marker.step,
            "outcome": marker.outcome,
            "code": marker.code,
            "at": marker.at,
            "currency": marker.currency,
            "legs": [{"account_id": account_id, "change": change} for account_id, change in marker.legs],
        }
        stands = self._commit(Put(item, ABSENT), posting.legs)
        return _marker(stands) if stands else None

    def open_hold(self, change: HoldChange) -> Hold | None:
        """Writes a hold once: answers it as it stands now, None where its account moved on since it was read."""
        stands = self._commit(Put(_hold_item(change.hold), ABSENT), change.legs)
        return _hold(stands) if stands else None

    def resolve_hold(self, change: HoldChange) -> Hold | None:
        """Resolves an open hold once: answers it as it stands now, None where an account moved on since it was read."""
        stands = self._commit(Put(_hold_item(change.hold), (("status", "=", "open"),)), change.legs)
        return _hold(stands) if stands else None

    def lines(
        self,
        account_id: str,
        *,
        since: str | None,
        until: str | None,
        direction: Literal["debit", "credit"] | None,
        position: str | None,
        limit: int,
    ) -> Iterator[tuple[str, Line]]:
        """Lines that changed the posted balance, newest first, lazily, each with its position.

        `since` is inclusive, `until` exclusive; `position` is that of the line before the first.
        """
        low = since or " "
        high = min(bound for bound in (position, until, "~") if bound is not None)
        if low > high:
            return
        items = self._table.query(
            f"E#{account_id}",
            between=(low, high),
            limit=_FILTERED_PAGE if direction else limit + 1,
            descending=True,
            where=_DIRECTIONS[direction],
        )
        for item in items:
            if item["sk"] != position:
                yield item["sk"], _line(item)

    def owner_of(self, account_id: str) -> str | None:
        """Whose account this is; None where there is none, or where it is the platform's own."""
        head = self._table.get(_head_key(account_id))
        return head.get("owner_id") if head else None

    def system_head(self, account_id: str) -> SystemHead | None:
        """A system account's folded balance; None before its first fold."""
        head = self._table.get(_head_key(account_id))
        if head is None:
            return None
        return SystemHead(
            account_id=account_id,
            currency=head["currency"],
            posted=head["posted"],
            version=head["version"],
            line_at=head["line_at"],
            fold=head["fold"],
            clean=head["clean"],
        )

    def inbox(self, account_id: str, shard: int) -> Iterator[PageLine]:
        """What waits in one shard of an inbox, lazily."""
        for item in self._table.query(_inbox_key(account_id, shard)):
            yield PageLine(item["transfer_id"], item["step"], item["change"], item["at"], shard)

    def last_page(self, account_id: str) -> Page:
        """The newest page of a system account that has one."""
        item = next(self._table.query(f"E#{account_id}", descending=True, limit=1))
        return Page(
            account_id=account_id,
            page=item["page"],
            at=item["sk"].partition("#")[0],
            opening_version=item["opening_version"],
            opening_posted=item["opening_posted"],
            version=item["version"],
            posted=item["posted"],
            lines=tuple(PageLine(**line) for line in item["lines"]),
        )

    def add_page(self, head: SystemHead, page: Page) -> bool:
        """Books a page, unless the account moved on since `head` was read."""
        after: dict[str, Any] = {
            "posted": page.posted,
            "available": page.posted,
            "version": page.version,
            "line_at": page.at,
            "fold": page.page,
        }
        booked: Write
        if head.fold:
            where = (("version", "=", head.version), ("fold", "=", head.fold), ("clean", "=", head.fold))
            booked = Update(_head_key(head.account_id), set=after, where=where)
        else:
            fixed = {"account_id": head.account_id, "currency": head.currency, "held": 0, "clean": 0}
            booked = Put({**_keyed(_head_key(head.account_id)), **fixed, **after}, ABSENT)
        item: Item = {
            **_keyed((f"E#{page.account_id}", _line_sk(page.at, page.version))),
            "page": page.page,
            "opening_version": page.opening_version,
            "opening_posted": page.opening_posted,
            "version": page.version,
            "posted": page.posted,
            "lines": [
                {
                    "transfer_id": line.transfer_id,
                    "step": line.step,
                    "change": line.change,
                    "at": line.at,
                    "shard": line.shard,
                }
                for line in page.lines
            ],
        }
        try:
            self._table.transact([booked, Put(item, ABSENT)])
        except Cancelled:
            return False
        return True

    def clear_inbox(self, page: Page) -> None:
        """Removes what a booked page holds from the inbox, and only then notes that none of it is left there."""
        self._table.batch_delete(
            (_inbox_key(page.account_id, line.shard), f"{line.transfer_id}#{line.step}") for line in page.lines
        )
        where = (("fold", "=", page.page), ("clean", "=", page.page - 1))
        try:
            self._table.update(Update(_head_key(page.account_id), set={"clean": page.page}, where=where))
        except ConditionFailed:
            # Another folder has cleared the same page.
            return

    def _commit(self, first: Put, legs: Iterable[Leg]) -> Item | None:
        """`first` and its legs or nothing; the item under its key as it stands now, None where only a leg refused."""
        writes = [write for leg in legs for write in _leg_writes(leg)]
        try:
            if writes:
                self._table.transact([first, *writes])
            else:
                self._table.put(first.item, first.where)
        except ConditionFailed as refused:
            return refused.old
        except Cancelled as cancelled:
            return cancelled.reasons[0].old if cancelled.reasons[0].failed else None
        return first.item


def _leg_writes(leg: Leg) -> list[Write]:
    if isinstance(leg, InboxEntry):
        entry: Item = {
            **_keyed((_inbox_key(leg.account_id, leg.shard), f"{leg.transfer_id}#{leg.step}")),
            "account_id": leg.account_id,
            "transfer_id": leg.transfer_id,
            "step": leg.step,
            "change": leg.change,
            "currency": leg.currency,
            "at": leg.at,
            "description": leg.description,
        }
        return [Put(entry, ABSENT)]
    return [_head_update(leg), Put(_line_item(leg.line), ABSENT)]


def _head_update(leg: Booking) -> Update:
    head, line = leg.head, leg.line
    where: list[tuple[str, str, Any]] = [
        ("version", "=", head.version),
        ("posted", "=", head.posted),
        ("held", "=", head.held),
    ]
    if leg.available_change < 0:
        where += [("status", "=", "active"), ("available", ">=", -leg.available_change)]
    else:
        where.append(("status", "<>", "closed"))
    return Update(
        _head_key(head.account_id),
        set={"posted": line.posted, "held": line.held, "version": line.version, "line_at": line.at},
        add={"available": leg.available_change},
        where=where,
    )


def _line_item(line: Line) -> Item:
    return {
        **_keyed((f"E#{line.account_id}", _line_sk(line.at, line.version))),
        "account_id": line.account_id,
        "version": line.version,
        "at": line.at,
        "currency": line.currency,
        "posted_change": line.posted_change,
        "held_change": line.held_change,
        "posted": line.posted,
        "held": line.held,
        "transfer_id": line.transfer_id,
        "step": line.step,
        "entry_id": line.entry_id,
        "description": line.description,
    }


def _hold_item(hold: Hold) -> Item:
    item: Item = {
        **_keyed(_step_key(hold.transfer_id, "hold")),
        "transfer_id": hold.transfer_id,
        "account_id": hold.account_id,
        "amount": hold.amount,
        "currency": hold.currency,
        "status": hold.status,
        "at": hold.at,
        "description": hold.description,
    }
    if hold.code:
        item["code"] = hold.code
    if hold.resolved_at:
        item["resolved_at"] = hold.resolved_at
    if hold.status == "settled":
        item |= {"settled_amount": hold.settled_amount, "destination_account_id": hold.destination_account_id}
    return item


def _hold(item: Item) -> Hold:
    return Hold(**_unkeyed(item))


def _marker(item: Item) -> Marker:
    legs = tuple((leg["account_id"], leg["change"]) for leg in item["legs"])
    return Marker(**{**_unkeyed(item), "legs": legs})


def _line(item: Item) -> Line:
    return Line(**_unkeyed(item))


def _heads(items: dict[Key, Item]) -> dict[str, Head]:
    return {
        item["account_id"]: Head(
            account_id=item["account_id"],
            currency=item["currency"],
            status=item["status"],
            posted=item["posted"],
            held=item["held"],
            available=item["available"],
            version=item["version"],
            line_at=item["line_at"],
        )
        for item in items.values()
    }


def _head_key(account_id: str) -> Key:
    return f"A#{account_id}", "H"


def _step_key(transfer_id: str, step: str) -> Key:
    return f"S#{transfer_id}", step


def _inbox_key(account_id: str, shard: int) -> str:
    return f"I#{account_id}#{shard:02}"


def _line_sk(at: str, version: int) -> str:
    return f"{at}#{version:012}"


def _keyed(key: Key) -> Item:
    return {"pk": key[0], "sk": key[1]}


def _unkeyed(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in ("pk", "sk")}
