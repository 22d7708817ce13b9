"""The ledger's items: heads, journal lines, step outcomes, holds and pending credits (docs/data.md)."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from itertools import islice

from common.dynamo import ABSENT, Cancelled, Check, ConditionFailed, Item, Key, Put, Table, Term, Update, Where, Write
from common.errors import Stale
from common.events import OUTBOX, outbox

from functions.accounts.domain.holds import LAPSE_SHARDS, Hold, HoldChange
from functions.accounts.domain.ledger import BookedLeg, Head, JournalLine, Leg, LimitNotice, PendingLeg
from functions.accounts.domain.postings import Expectation, Posting, StepOutcome
from functions.accounts.store import keys
from functions.accounts.store.heads import as_read, counters, fields_of, head_of, notes


class LedgerStore:
    """The accounts table as the ledger uses it. Reads are consistent, and every write has conditions."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def posting(
        self, transfer_id: str, step: str, accounts: Iterable[str]
    ) -> tuple[StepOutcome | None, dict[str, Head]]:
        """Return the outcome of a step, if there is one, and those of `accounts` that exist."""
        key = keys.step(transfer_id, step)
        found = self._table.batch_get([key, *map(keys.head, accounts)])
        item = found.pop(key, None)
        return (_step_outcome(item) if item else None), _heads(found)

    def expectation(self, transfer_id: str, account_id: str) -> tuple[Expectation | None, dict[str, Head]]:
        """Return the expectation of a transfer, if there is one, and the account if it exists."""
        key = keys.step(transfer_id, "expect")
        found = self._table.batch_get([key, keys.head(account_id)])
        item = found.pop(key, None)
        return (_expectation(item) if item else None), _heads(found)

    def holding(self, transfer_id: str, accounts: Iterable[str] = ()) -> tuple[Hold | None, dict[str, Head]]:
        """Return the hold of a transfer, if there is one, and those of `accounts` that exist."""
        key = keys.step(transfer_id, "hold")
        found = self._table.batch_get([key, *map(keys.head, accounts)])
        item = found.pop(key, None)
        return (_hold(item) if item else None), _heads(found)

    def heads(self, accounts: Iterable[str]) -> dict[str, Head]:
        """Return those of `accounts` that exist."""
        return _heads(self._table.batch_get(map(keys.head, accounts)))

    def record(self, posting: Posting) -> StepOutcome:
        """Write a step once, and return its outcome, which may be an earlier one. Raises Stale."""
        result = posting.result
        item: Item = {
            **keys.keyed(keys.step(result.transfer_id, result.step)),
            **asdict(result),
            "legs": [{"account_id": account_id, "change": change} for account_id, change in result.legs],
        }
        return _step_outcome(self._commit(Put(item | _outbox(posting), ABSENT), posting))

    def expect(self, expectation: Expectation) -> Expectation:
        """Write an expectation once, and return that of the transfer, which may be an earlier one.

        It is refused if the posting step has an outcome: nothing would end it. Raises Stale if the account was closed.
        """
        key = keys.step(expectation.transfer_id, "expect")
        first = Put(keys.keyed(key) | {"step": "expect"} | asdict(expectation), ABSENT)
        try:
            if expectation.outcome == "refused":
                self._table.put(first.item, first.where)
            else:
                # No condition on the balances, so that it never conflicts with what was read for a posting.
                is_open: Where = [("status", "<>", "closed")]
                head = Update(keys.head(expectation.account_id), add={"incoming": 1}, where=is_open)
                self._table.transact([first, head, Check(keys.step(expectation.transfer_id, "post"), ABSENT)])
        except ConditionFailed as failed:
            return _expectation(failed.old or first.item)
        except Cancelled as cancelled:
            recorded, _, ended = cancelled.reasons
            if recorded.failed and recorded.old:
                return _expectation(recorded.old)
            if ended.failed:
                return self.expect(expectation.refused("payee_not_found"))
            raise Stale from cancelled
        return expectation

    def open_hold(self, change: HoldChange) -> Hold:
        """Write a hold once, and return the hold of the transfer, which may be an earlier one. Raises Stale."""
        return _hold(self._commit(Put(_hold_item(change.hold) | _outbox(change), ABSENT), change))

    def resolve_hold(self, change: HoldChange) -> Hold:
        """Resolve an open hold once, and return it; it may have been resolved in another way. Raises Stale."""
        return _hold(self._commit(Put(_hold_item(change.hold), (("status", "=", "open"),)), change))

    def lapsing(self, now: str, limit: int) -> Iterator[str]:
        """Yield transfers whose open holds are past their time, at most `limit` a shard.

        The index may still have holds that were resolved a moment ago.
        """
        for shard in range(LAPSE_SHARDS):
            rows = self._table.query(
                f"{shard:02}", before=now, index=("lapses", "lapse_shard", "lapse_at"), limit=limit
            )
            for row in islice(rows, limit):
                yield row["pk"].removeprefix("S#")

    def _commit(self, first: Put, change: Posting | HoldChange) -> Item:
        """Write `first` with the legs and notice of a change, or nothing, and return the current item under its key.

        Raises Stale if an account has changed since it was read.
        """
        writes = [write for leg in change.legs for write in _leg_writes(leg)]
        if change.notice:
            writes.append(_notice_update(change.notice))
        if isinstance(change, Posting) and change.expecting_account_id:
            writes = _ending_expectation(change.expecting_account_id, writes)
        try:
            if writes:
                self._table.transact([first, *writes])
            else:
                self._table.put(first.item, first.where)
        except ConditionFailed as failed:
            current = failed.old
        except Cancelled as cancelled:
            current = cancelled.reasons[0].old if cancelled.reasons[0].failed else None
        else:
            current = first.item
        if current is None:
            raise Stale
        return current


def line_item(line: JournalLine) -> Item:
    """Return the item of a journal line."""
    item: Item = {**keys.keyed(keys.line(line.account_id, line.at, line.version)), **asdict(line)}
    if not line.credit_limit:
        del item["credit_limit"]
    return item


def _leg_writes(leg: Leg) -> list[Write]:
    if isinstance(leg, PendingLeg):
        key = keys.pending_credit(leg.account_id, leg.shard, leg.transfer_id, leg.step)
        return [Put({**keys.keyed(key), **asdict(leg)}, ABSENT)]
    return [_head_update(leg), Put(line_item(leg.line), ABSENT)]


def _ending_expectation(account_id: str, writes: list[Write]) -> list[Write]:
    """Return the writes with one expectation of an account less. A transaction writes an item once."""
    key = keys.head(account_id)
    head = next((each for each in writes if isinstance(each, Update) and each.key == key), Update(key))
    where = [*head.where, ("incoming", ">=", 1)]
    ending = replace(head, add={**head.add, "incoming": -1}, where=where)
    return [*(each for each in writes if each is not head), ending]


def _head_update(leg: BookedLeg) -> Update:
    head, line = leg.head, leg.line
    where: list[Term] = [
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
        # The events of an earlier change. If they stayed, each posting would invoke the publisher for nothing.
        remove=[OUTBOX],
        where=where,
    )


def _notice_update(notice: LimitNotice) -> Update:
    head = notice.head
    return Update(
        keys.head(head.account_id),
        set=notes(notice.spending),
        add={"changes": len(notice.events)},
        remove=[OUTBOX],
        where=[("version", "=", head.version), ("changes", "absent or =", head.changes)],
    )


def _outbox(change: Posting | HoldChange) -> dict[str, str]:
    """Return the events of a change. They go to the step outcome or hold, whose item stays within a kilobyte."""
    events = [event for leg in change.legs if isinstance(leg, BookedLeg) for event in leg.events]
    if change.notice:
        events += change.notice.events
    return outbox(*events) if events else {}


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
    return Hold(**fields_of(Hold, item))


def _expectation(item: Item) -> Expectation:
    return Expectation(**fields_of(Expectation, item))


def _step_outcome(item: Item) -> StepOutcome:
    legs = tuple((leg["account_id"], leg["change"]) for leg in item["legs"])
    return StepOutcome(**{**fields_of(StepOutcome, item), "legs": legs})


def _heads(items: dict[Key, Item]) -> dict[str, Head]:
    return {item["account_id"]: head_of(item) for item in items.values()}
