"""Invariants 1 to 5: the journal, the balances and the markers agree, and nothing came from nowhere."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from localstack.tables import Item
from localstack.verify.finding import Finding


class Leg(NamedTuple):
    """A change of an account's posted balance by a transfer."""

    account_id: str
    change: int


class Ledger:
    """The accounts table, sorted out."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.heads: dict[str, Item] = {}
        self.lines: dict[str, list[Item]] = defaultdict(list)
        self.pages: dict[str, list[Item]] = defaultdict(list)
        self.markers: list[Item] = []
        self.holds: dict[str, Item] = {}
        self.inbox: list[Item] = []
        self.keys: list[Item] = []
        for item in sorted(items, key=lambda each: (each["pk"], each["sk"])):
            kind, _, rest = item["pk"].partition("#")
            if kind == "A":
                self.heads[rest] = item
            elif kind == "E":
                (self.pages if "page" in item else self.lines)[rest].append(item)
            elif kind == "S" and item["sk"] == "hold":
                self.holds[rest] = item
            elif kind == "S":
                self.markers.append(item)
            elif kind == "I":
                self.inbox.append(item)
            elif kind == "K":
                self.keys.append(item)
        folded = {(account, line["transfer_id"], line["step"]) for account, line in self.folded()}
        # A page is written before what it folded is removed: in between, an entry is in both and counts once.
        self.waiting = [
            each for each in self.inbox if (each["account_id"], each["transfer_id"], each["step"]) not in folded
        ]

    def folded(self) -> Iterator[tuple[str, Item]]:
        """The lines within the pages of hot accounts, with their account."""
        for account, pages in self.pages.items():
            for page in pages:
                for line in page["lines"]:
                    yield account, line

    def entries(self) -> Iterator[tuple[str, str, Leg]]:
        """Every change of a posted balance that was written: transfer, step and leg."""
        for account, lines in self.lines.items():
            for line in lines:
                if line["posted_change"]:
                    yield line["transfer_id"], line["step"], Leg(account, line["posted_change"])
        for account, line in self.folded():
            yield line["transfer_id"], line["step"], Leg(account, line["change"])
        for item in self.waiting:
            yield item["transfer_id"], item["step"], Leg(item["account_id"], item["change"])

    def decided(self) -> Iterator[tuple[str, Leg]]:
        """Every leg that a marker or a settled hold says was posted: transfer and leg."""
        for marker in self.markers:
            if marker["outcome"] == "posted":
                for leg in marker["legs"]:
                    yield marker["transfer_id"], Leg(leg["account_id"], leg["change"])
        for hold in self.holds.values():
            if hold["status"] == "settled":
                yield hold["transfer_id"], Leg(hold["account_id"], -hold["settled_amount"])
                yield hold["transfer_id"], Leg(hold["destination_account_id"], hold["settled_amount"])


def sums_to_zero(ledger: Ledger) -> Finding:
    """1: entries sum to zero per currency over heads and inboxes; every posting sums to zero by itself."""
    totals: Counter[str] = Counter()
    for head in ledger.heads.values():
        totals[head["currency"]] += head["posted"]
    for item in ledger.waiting:
        totals[item["currency"]] += item["change"]
    postings: Counter[tuple[str, str]] = Counter()
    for transfer, step, leg in ledger.entries():
        postings[transfer, step] += leg.change
    finding = Finding(1, "Entries sum to zero")
    accounts, waiting = len(ledger.heads), len(ledger.waiting)
    finding.counted = f"{len(totals)} currencies, {accounts} accounts, {waiting} in inboxes, {len(postings)} postings"
    for currency, total in totals.items():
        if total:
            finding.wrong(currency, f"all accounts together hold {total:+} minor units")
    for (transfer, step), total in postings.items():
        if total:
            finding.wrong(transfer, f"the entries of {step} sum to {total:+}")
    for marker in ledger.markers:
        if total := sum(leg["change"] for leg in marker["legs"]):
            finding.wrong(marker["transfer_id"], f"the marker of {marker['step']} has legs that sum to {total:+}")
    return finding


def balances_follow_lines(ledger: Ledger) -> Finding:
    """2: an account's balances are those of its last journal line; its version is their count, without gaps."""
    finding = Finding(2, "Balances follow the journal")
    count = 0
    for account, head in ledger.heads.items():
        lines, pages = ledger.lines.get(account, []), ledger.pages.get(account, [])
        count += len(lines) + sum(len(page["lines"]) for page in pages)
        if pages:
            _check_pages(finding, account, head, pages)
        else:
            _check_lines(finding, account, head, lines)
    for account in (ledger.lines.keys() | ledger.pages.keys()) - ledger.heads.keys():
        finding.wrong(account, "has a journal and no head")
    finding.counted = f"{len(ledger.heads)} accounts, {count} lines"
    return finding


def _check_lines(finding: Finding, account: str, head: Item, lines: list[Item]) -> None:
    posted = held = 0
    for expected, line in enumerate(lines, start=1):
        posted, held = posted + line["posted_change"], held + line["held_change"]
        if line["version"] != expected:
            finding.wrong(account, f"line {expected} of the journal has version {line['version']}")
            return
        if (line["posted"], line["held"]) != (posted, held):
            finding.wrong(
                account, f"line {expected} says {line['posted']}/{line['held']}, its changes sum to {posted}/{held}"
            )
            return
    if head["version"] != len(lines):
        finding.wrong(account, f"version {head['version']} after {len(lines)} lines")
    if (head["posted"], head["held"]) != (posted, held):
        finding.wrong(account, f"holds {head['posted']}/{head['held']}, its last line says {posted}/{held}")
    if any(before["sk"] >= after["sk"] or before["at"] > after["at"] for before, after in pairwise(lines)):
        finding.wrong(account, "its lines do not sort by time and version alike")


def _check_pages(finding: Finding, account: str, head: Item, pages: list[Item]) -> None:
    version = posted = 0
    for page in pages:
        if (page["opening_version"], page["opening_posted"]) != (version, posted):
            finding.wrong(account, f"page {page['page']} does not open where the one before closed")
        version += len(page["lines"])
        posted += sum(line["change"] for line in page["lines"])
        if (page["version"], page["posted"]) != (version, posted):
            finding.wrong(
                account, f"page {page['page']} closes with {page['version']}/{page['posted']}, not {version}/{posted}"
            )
    if (head["version"], head["posted"]) != (version, posted):
        finding.wrong(account, f"holds {head['posted']} at version {head['version']}, its pages {posted} at {version}")
    if head.get("clean", 0) > head.get("fold", 0):
        finding.wrong(account, f"is clean to {head['clean']} and folded to {head['fold']} only")


def holds_add_up(ledger: Ledger) -> Finding:
    """3: `held` is the sum of the open holds; `available` never goes below zero, but for system accounts."""
    finding = Finding(3, "Holds add up, nothing is overdrawn")
    held: Counter[str] = Counter()
    for hold in ledger.holds.values():
        if hold["status"] == "open":
            held[hold["account_id"]] += hold["amount"]
    finding.counted = (
        f"{sum(hold['status'] == 'open' for hold in ledger.holds.values())} open of {len(ledger.holds)} holds"
    )
    for account, head in ledger.heads.items():
        if head.get("held", 0) != held[account]:
            finding.wrong(account, f"held is {head['held']}, its open holds sum to {held[account]}")
        if ":" in account:
            continue
        available = head["posted"] - head["held"] + head["credit_limit"]
        if available < 0:
            finding.wrong(account, f"available is {available}")
        if head["available"] != available:
            finding.wrong(account, f"available says {head['available']}, the balances give {available}")
        for line in ledger.lines.get(account, []):
            if head["type"] == "debit" and line["posted"] < line["held"]:
                finding.wrong(account, f"version {line['version']} left available at {line['posted'] - line['held']}")
    return finding


def posts_once(ledger: Ledger, records: dict[str, Item]) -> Finding:
    """4: a transfer posts at most once, a hold resolves at most once, and the journal has just what was decided."""
    finding = Finding(4, "A transfer posts at most once")
    posted = Counter(marker["transfer_id"] for marker in ledger.markers if marker["outcome"] == "posted")
    posted.update(hold["transfer_id"] for hold in ledger.holds.values() if hold["status"] == "settled")
    finding.counted = f"{len(posted)} posted of {len(records)} transfers"
    written, decided = _by_transfer(leg[::2] for leg in ledger.entries()), _by_transfer(ledger.decided())
    for transfer, times in posted.items():
        if times > 1:
            finding.wrong(transfer, f"was posted {times} times")
        if fault := _posting_fault(records.get(transfer), decided[transfer]):
            finding.wrong(transfer, fault)
    for transfer in written.keys() | decided.keys():
        if sorted(written[transfer]) != sorted(decided[transfer]):
            finding.wrong(transfer, f"the journal has {_legs(written[transfer])}; decided: {_legs(decided[transfer])}")
    for record in records.values():
        if record["status"] == "completed" and record["id"] not in posted:
            finding.wrong(record["id"], "is completed and was never posted")
    _check_hold_lines(finding, ledger)
    return finding


def _by_transfer(legs: Iterable[tuple[str, Leg]]) -> dict[str, list[Leg]]:
    found: dict[str, list[Leg]] = defaultdict(list)
    for transfer, leg in legs:
        found[transfer].append(leg)
    return found


def _posting_fault(record: Item | None, legs: list[Leg]) -> str | None:
    """What is wrong with the record of a transfer that posted these legs."""
    if record is None:
        return "was posted and has no record"
    if record["status"] in ("declined", "failed"):
        return f"was posted and is {record['status']}"
    moved = sum(leg.change for leg in legs if leg.change > 0)
    return None if moved == record["amount"] else f"is over {record['amount']} and posted {moved}"


def _check_hold_lines(finding: Finding, ledger: Ledger) -> None:
    changes: Counter[str] = Counter()
    for lines in ledger.lines.values():
        for line in lines:
            changes[line["transfer_id"]] += line["held_change"]
    for transfer in changes.keys() | ledger.holds.keys():
        hold = ledger.holds.get(transfer)
        expected = hold["amount"] if hold and hold["status"] == "open" else 0
        if changes[transfer] != expected:
            finding.wrong(transfer, f"its lines leave {changes[transfer]} held, its hold {expected}")


def declined_moved_nothing(ledger: Ledger, records: dict[str, Item]) -> Finding:
    """5: what was declined changed no balance, hold or limit."""
    finding = Finding(5, "What was declined moved nothing")
    refused = {marker["transfer_id"] for marker in ledger.markers if marker["outcome"] != "posted"}
    refused |= {record["id"] for record in records.values() if record["status"] in ("declined", "failed")}
    finding.counted = f"{len(refused)} declined or failed"
    for marker in ledger.markers:
        if marker["outcome"] != "posted" and marker["legs"]:
            finding.wrong(marker["transfer_id"], f"its marker is {marker['outcome']} and has legs")
    for transfer, step, leg in ledger.entries():
        if transfer in refused:
            finding.wrong(transfer, f"was refused and {step} changed {leg.account_id} by {leg.change:+}")
    for transfer in refused & ledger.holds.keys():
        if ledger.holds[transfer]["status"] == "open":
            finding.wrong(transfer, "was refused and still holds money")
    return finding


def _legs(legs: list[Leg]) -> str:
    return ", ".join(f"{account} {change:+}" for account, change in sorted(legs)) or "nothing"
