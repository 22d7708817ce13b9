"""The ledger's items: heads, journal lines, markers, holds, and what goes to inboxes (docs/data.md)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from common.dynamo import ABSENT, Cancelled, ConditionFailed, Item, Key, Put, Table, Update, Write
from common.events import OUTBOX, outbox

from functions.accounts.domain.holds import LAPSE_SHARDS, Hold, HoldChange
from functions.accounts.domain.ledger import Booking, Head, InboxEntry, Leg, LimitNotice, Line, Marker, Posting
from functions.accounts.store import keys
from functions.accounts.store.heads import as_read, counters, head_of, notes


class LedgerStore:
    """The accounts table as the ledger uses it. Every write stands on conditions; a read is consistent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def posting(self, transfer_id: str, step: str, accounts: Iterable[str]) -> tuple[Marker | None, dict[str, Head]]:
        """A step's marker, where there is one, and those of `accounts` that exist."""
        key = keys.step(transfer_id, step)
        found = self._table.batch_get([key, *map(keys.head, accounts)])
        marker = found.pop(key, None)
        return (_marker(marker) if marker else None), _heads(found)

    def holding(self, transfer_id: str, accounts: Iterable[str] = ()) -> tuple[Hold | None, dict[str, Head]]:
        """The hold of a transfer, where there is one, and those of `accounts` that exist."""
        key = keys.step(transfer_id, "hold")
        found = self._table.batch_get([key, *map(keys.head, accounts)])
        hold = found.pop(key, None)
        return (_hold(hold) if hold else None), _heads(found)

    def heads(self, accounts: Iterable[str]) -> dict[str, Head]:
        """Those of `accounts` that exist."""
        return _heads(self._table.batch_get(map(keys.head, accounts)))

    def record(self, posting: Posting) -> Marker | None:
        """Writes a step once: answers its marker as it stands now, None where an account moved on since it was read."""
        marker = posting.marker
        item: Item = {
            **keys.keyed(keys.step(marker.transfer_id, marker.step)),
            "transfer_id": marker.transfer_id,
            "step": marker.step,
            "outcome": marker.outcome,
            "code": marker.code,
            "at": marker.at,
            "currency": marker.currency,
            "legs": [{"account_id": account_id, "change": change} for account_id, change in marker.legs],
        }
        stands = self._commit(Put(item | _outbox(posting), ABSENT), posting)
        return _marker(stands) if stands else None

    def open_hold(self, change: HoldChange) -> Hold | None:
        """Writes a hold once: answers it as it stands now, None where its account moved on since it was read."""
        stands = self._commit(Put(_hold_item(change.hold) | _outbox(change), ABSENT), change)
        return _hold(stands) if stands else None

    def resolve_hold(self, change: HoldChange) -> Hold | None:
        """Resolves an open hold once: answers it as it stands now, None where an account moved on since it was read."""
        stands = self._commit(Put(_hold_item(change.hold), (("status", "=", "open"),)), change)
        return _hold(stands) if stands else None

    def lapsing(self, now: str, limit: int) -> Iterator[str]:
        """The transfers whose open holds are past their time, at most `limit` a shard; resolved ones may linger."""
        for shard in range(LAPSE_SHARDS):
            rows = self._table.query(
                f"{shard:02}", before=now, index=("lapses", "lapse_shard", "lapse_at"), limit=limit
            )
            for row in islice(rows, limit):
                yield row["pk"].removeprefix("S#")

    def _commit(self, first: Put, change: Posting | HoldChange) -> Item | None:
        """`first` and what goes with it or nothing; the item under its key as it stands now, None where only an account
        refused."""
        writes = [write for leg in change.legs for write in _leg_writes(leg)]
        if change.notice:
            writes.append(_told(change.notice))
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
            **keys.keyed(keys.waiting(leg.account_id, leg.shard, leg.transfer_id, leg.step)),
            "account_id": leg.account_id,
            "transfer_id": leg.transfer_id,
            "step": leg.step,
            "change": leg.change,
            "currency": leg.currency,
            "at": leg.at,
            "description": leg.description,
        }
        return [Put(entry, ABSENT)]
    return [_head_update(leg), Put(line_item(leg.line), ABSENT)]


def _head_update(leg: Booking) -> Update:
    head, line = leg.head, leg.line
    where: list[tuple[str, str, Any]] = [
        ("version", "=", head.version),
        ("posted", "=", head.posted),
        ("held", "=", head.held),
    ]
    if leg.available_change < 0:
        where += [
            ("status", "=", "active"),
            ("available", ">=", -leg.available_change),
            ("daily_limit", "absent or >=", leg.spending.daily.spent),
            ("weekly_limit", "absent or >=", leg.spending.weekly.spent),
            as_read("low_balance_alert", head.low_balance_alert),
        ]
    else:
        where.append(("status", "<>", "closed"))
    if leg.events:
        where.append(("changes", "absent or =", head.changes))
    after = {"posted": line.posted, "held": line.held, "version": line.version, "line_at": line.at}
    return Update(
        keys.head(head.account_id),
        set=after if leg.spending == head.spending else after | counters(leg.spending),
        add={"available": leg.available_change},
        # What was told before is told: were it left here, each posting would wake the publisher for nothing.
        remove=[OUTBOX],
        where=where,
    )


def _told(notice: LimitNotice) -> Update:
    head = notice.head
    return Update(
        keys.head(head.account_id),
        set=notes(notice.spending),
        add={"changes": len(notice.events)},
        remove=[OUTBOX],
        where=[("version", "=", head.version), ("changes", "absent or =", head.changes)],
    )


def _outbox(change: Posting | HoldChange) -> dict[str, str]:
    """What the change tells of, beside it: on the marker or hold, which has the room for it within its kilobyte."""
    events = [event for leg in change.legs if isinstance(leg, Booking) for event in leg.events]
    if change.notice:
        events += change.notice.events
    return outbox(*events) if events else {}


def line_item(line: Line) -> Item:
    """A journal line as it is kept."""
    item: Item = {
        **keys.keyed(keys.line(line.account_id, line.at, line.version)),
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
    if line.credit_limit:
        item["credit_limit"] = line.credit_limit
    return item


def _hold_item(hold: Hold) -> Item:
    item: Item = {
        **keys.keyed(keys.step(hold.transfer_id, "hold")),
        "transfer_id": hold.transfer_id,
        "account_id": hold.account_id,
        "amount": hold.amount,
        "currency": hold.currency,
        "status": hold.status,
        "at": hold.at,
        "description": hold.description,
    }
    if hold.lapse_at and hold.status == "open":
        item |= {"lapse_at": hold.lapse_at, "lapse_shard": hold.lapse_shard}
    if hold.code:
        item["code"] = hold.code
    if hold.resolved_at:
        item["resolved_at"] = hold.resolved_at
    if hold.status == "settled":
        item |= {"settled_amount": hold.settled_amount, "destination_account_id": hold.destination_account_id}
    return item


def _hold(item: Item) -> Hold:
    return Hold(**_plain(item, "lapse_shard"))


def _marker(item: Item) -> Marker:
    legs = tuple((leg["account_id"], leg["change"]) for leg in item["legs"])
    return Marker(**{**_plain(item), "legs": legs})


def _heads(items: dict[Key, Item]) -> dict[str, Head]:
    return {item["account_id"]: head_of(item) for item in items.values()}


def _plain(item: Item, *others: str) -> Item:
    """An item's own attributes: without its key, its events, and `others`."""
    return {name: value for name, value in item.items() if name not in ("pk", "sk", OUTBOX, *others)}
