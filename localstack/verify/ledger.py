"""Invariants 1 to 5 and 8: the accounts room's own reconciliation, and what the transfers' records add to it."""

from collections import Counter
from collections.abc import Iterable, Iterator

from functions.accounts.domain.reconciliation import Finding, Look, entries_of
from localstack.tables import Item


def check(accounts: Iterable[Item], records: dict[str, Item]) -> list[Finding]:
    """What the accounts table says of itself, with 4 and 5 held against the records."""
    items = sorted(accounts, key=lambda each: (each["pk"], each["sk"]))
    one, two, three, four, five, eight = Look(items).findings()
    steps = [item for item in items if item["pk"].startswith("S#")]
    moved = dict(_moved(steps))
    four.counted += f" of {len(records)} transfers"
    for transfer, amount in moved.items():
        if fault := _posting_fault(records.get(transfer), amount):
            four.wrong(transfer, fault)
    for record in records.values():
        if record["status"] == "completed" and record["id"] not in moved:
            four.wrong(record["id"], "is completed and was never posted")
    refused = {record["id"] for record in records.values() if record["status"] in ("declined", "failed")}
    for item in steps:
        if item["sk"] == "hold" and item["status"] == "open" and item["transfer_id"] in refused:
            five.wrong(item["transfer_id"], "was refused and still holds money")
    for transfer, changes in _entries(items).items():
        if transfer in refused and changes:
            five.wrong(transfer, f"was refused and moved {changes}")
    return [one, two, three, four, five, eight]


def _moved(steps: list[Item]) -> Iterator[tuple[str, int]]:
    """What each transfer posted, by its marker or its settled hold."""
    for item in steps:
        if item.get("outcome") == "posted":
            yield item["transfer_id"], sum(leg["change"] for leg in item["legs"] if leg["change"] > 0)
        elif item.get("status") == "settled":
            yield item["transfer_id"], item["settled_amount"]


def _entries(items: list[Item]) -> Counter[str]:
    """What the entries of each transfer brought to accounts."""
    brought: Counter[str] = Counter()
    for item in items:
        for entry in entries_of(item):
            change = entry.get("posted_change", entry.get("change", 0))
            if change > 0:
                brought[entry["transfer_id"]] += change
    return brought


def _posting_fault(record: Item | None, moved: int) -> str | None:
    """What is wrong with the record of a transfer that posted so much."""
    if record is None:
        return "was posted and has no record"
    if record["status"] in ("declined", "failed"):
        return f"was posted and is {record['status']}"
    return None if moved == record["amount"] else f"is over {record['amount']} and posted {moved}"
