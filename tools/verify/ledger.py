"""Invariants 1 to 5 and 8: the accounts context's own reconciliation, and its comparison with transfers' records."""

from collections import Counter
from collections.abc import Iterable, Iterator

from functions.accounts import reader
from tools.tables import Item


def check(accounts: Iterable[Item], records: dict[str, Item]) -> list[reader.Finding]:
    """Check the items of the accounts table, and compare what transfers posted with their records."""
    items = sorted(accounts, key=lambda each: (each["pk"], each["sk"]))
    findings = reader.check_items(items)
    postings, refusals = (next(each for each in findings if each.number == number) for number in (4, 5))
    steps = [item for item in items if item["pk"].startswith("S#")]
    posted = dict(_posted(steps))
    postings.counted += f" of {len(records)} transfers"
    for transfer_id, amount in posted.items():
        if error := _posting_error(records.get(transfer_id), amount):
            postings.wrong(transfer_id, error)
    for record in records.values():
        if record["status"] == "completed" and record["id"] not in posted:
            postings.wrong(record["id"], "is completed, but was not posted")
    refused = {record["id"] for record in records.values() if record["status"] in ("declined", "failed")}
    for item in steps:
        if item["sk"] == "hold" and item["status"] == "open" and item["transfer_id"] in refused:
            refusals.wrong(item["transfer_id"], "was refused, but still holds money")
    for transfer_id, amount in _credited(items).items():
        if transfer_id in refused and amount:
            refusals.wrong(transfer_id, f"was refused, but moved {amount}")
    return findings


def _posted(steps: list[Item]) -> Iterator[tuple[str, int]]:
    """Yield the amount that each transfer posted, by its step outcome or its settled hold."""
    for item in steps:
        if item.get("outcome") == "posted":
            yield item["transfer_id"], sum(leg["change"] for leg in item["legs"] if leg["change"] > 0)
        elif item.get("status") == "settled":
            yield item["transfer_id"], item["settled_amount"]


def _credited(items: list[Item]) -> Counter[str]:
    """Return the sum of the credits of each transfer's entries."""
    credited: Counter[str] = Counter()
    for item in items:
        if item["pk"].startswith(("E#", "I#")):
            for entry in reader.entries_of(item):
                credited[entry["transfer_id"]] += max(0, entry.get("posted_change", entry.get("change", 0)))
    return credited


def _posting_error(record: Item | None, amount: int) -> str | None:
    """Return what is wrong with the record of a transfer that posted `amount`, if anything."""
    if record is None:
        return "was posted, but has no record"
    if record["status"] in ("declined", "failed"):
        return f"was posted, but is {record['status']}"
    return None if amount == record["amount"] else f"has the amount {record['amount']}, but posted {amount}"
