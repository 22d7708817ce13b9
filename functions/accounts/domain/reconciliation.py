"""Whether the accounts table agrees with itself: what must hold of the money, checked from the items alone.

It shares no code with the ledger that writes them; what an item has is in docs/data.md. A look takes every item once,
those of a partition together and in the order of their keys, as a scan gives them. It keeps some 1 KB an account,
and what is open or waits; what is written twice about a transfer, a card or a payee (the journal and the marker, the
entry and its copy) is summed up in buckets instead, and kept only for the buckets that are `watched`.
"""

import hashlib
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

Item = Mapping[str, Any]

EVER = "~"
_BUCKETS = 1 << 16


class Violation(NamedTuple):
    """What is wrong, and with which item."""

    id: str
    what: str


class Drift(NamedTuple):
    """A violation, and which invariant it is of: the number and the title of its finding."""

    number: int
    title: str
    id: str
    what: str


@dataclass
class Finding:
    """One invariant: what was counted, what waits for its time, and what is wrong."""

    number: int
    title: str
    counted: str = ""
    waiting: int = 0
    violations: list[Violation] = field(default_factory=list)

    def wrong(self, identity: str, what: str) -> None:
        """Note a violation."""
        self.violations.append(Violation(identity, what))


class _Head(NamedTuple):
    """What a head says of its account."""

    owner_id: str
    status: str
    version: int
    posted: int
    held: int
    available: int
    credit_limit: int
    line_at: str
    day: str
    day_spent: int
    week: str
    week_spent: int
    fold: int
    clean: int

    @classmethod
    def of(cls, item: Item) -> "_Head":
        return cls(
            owner_id=item.get("owner_id", ""),
            status=item.get("status", ""),
            version=item["version"],
            posted=item["posted"],
            held=item["held"],
            available=item["available"],
            credit_limit=item.get("credit_limit", 0),
            line_at=item.get("line_at", ""),
            day=item.get("day", ""),
            day_spent=item.get("day_spent", 0),
            week=item.get("week", ""),
            week_spent=item.get("week_spent", 0),
            fold=item.get("fold", 0),
            clean=item.get("clean", 0),
        )


@dataclass(slots=True)
class _Account:
    """An account's head, and its journal as it was at the head's version, or as far as it was read before the head."""

    head: _Head | None = None
    currency: str = ""
    fault: tuple[int, str] | None = None
    version: int = 0
    posted: int = 0
    held: int = 0
    credit_limit: int = 0
    pages: int = 0
    # Until the moment that the look is about.
    posted_then: int = 0
    held_then: int = 0
    open_then: int = 0
    # What is counted in the last day and week that a line counted in, and since when open holds are counted.
    day: str = ""
    day_spent: int = 0
    week: str = ""
    week_spent: int = 0
    reserved: dict[str, str] | None = None

    @property
    def drift(self) -> tuple[int, int]:
        """What the head has posted and held beyond its journal, where they can be compared."""
        if self.head is None or self.head.version != self.version:
            return 0, 0
        return self.head.posted - self.posted, self.head.held - self.held


class _Ties:
    """What is written in two places has to be the same in both: amounts said in one, and taken back by the other."""

    def __init__(self, watched: Container[int] | None) -> None:
        self.facts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._watched = watched
        self._sums: Counter[int] = Counter()

    def watches(self, subject: str) -> bool:
        """Whether what is said of a subject is kept."""
        return self._watched is None or bucket(subject) in self._watched

    def say(self, subject: str, amount: int, *fact: str) -> None:
        """Note that one of the two places says so; the other one says `-amount`."""
        if self.watches(subject):
            self.facts[subject][fact] += amount
        else:
            # Weighed so that amounts of different facts do not make up for one another.
            self._sums[bucket(subject)] += amount * hash((subject, *fact))

    def loose(self) -> set[int]:
        """The buckets, of those that are not watched, in which something is said in one place alone."""
        return {number for number, total in self._sums.items() if total}


def entries_of(item: Item) -> Sequence[Item]:
    """The entries of a journal's item: itself, or what a page has folded, which bear their `change` alone."""
    return json.loads(zlib.decompress(item["lines"])) if "page" in item else [item]


def bucket(subject: str) -> int:
    """Where what is said of a subject is summed up, the same within one process."""
    return hash(subject) % _BUCKETS


class Look:
    """One look at the table, or at one account's items, as of `until`: lines, markers and holds that are younger may
    still be on their way, and say nothing. `watched` are the buckets whose subjects are named, None for all."""

    def __init__(self, items: Iterable[Item], *, until: str = EVER, watched: Container[int] | None = None) -> None:
        self.lines = 0
        self.faults: dict[str, list[tuple[int, str]]] = {}
        """What is wrong with an account by itself: the number of the invariant, and what."""
        self.moving: set[str] = set()
        """Accounts that went on between the reading of their journal and that of their head."""
        self._until = until
        self._ties = _Ties(watched)
        self._accounts: dict[str, _Account] = defaultdict(_Account)
        self._inbox: list[Item] = []
        self._last_pages: dict[str, frozenset[tuple[str, str]]] = {}
        self._defaults: list[tuple[str, str, str]] = []
        self._gone: set[str] = set()
        self._refused: set[str] = set()
        self._transfer = ("", 0)
        self._postings = self._refusals = self._open_holds = self._holds = self._projections = 0
        self._wrong: list[tuple[int, Violation]] = []
        takers = {
            "A": self._take_head,
            "E": self._take_entry,
            "I": self._take_waiting,
            "S": self._take_step,
            "U": self._take_owned,
            "F": self._take_fingerprint,
            "P": self._take_payee,
        }
        for item in items:
            kind, _, name = item["pk"].partition("#")
            if kind not in takers:
                continue
            try:
                takers[kind](name, item)
            except (KeyError, TypeError, ValueError, zlib.error) as fault:
                # Under the other kinds of keys are people's names.
                self._note(2, name if kind in "AEIS" else kind, f"has an item that makes no sense: {fault!r}")
        self._take_inbox()
        for account_id, account in self._accounts.items():
            self._check_account(account_id, account)

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return len(self._accounts)

    @property
    def loose(self) -> set[int]:
        """The buckets to watch in another look, which then names what is wrong in them."""
        return self._ties.loose()

    def recheck(self, account_id: str, items: Iterable[Item]) -> None:
        """Looks at an account again, from its head and its journal, which were read in this order."""
        again = Look(items, until=self._until, watched=())
        self.moving.discard(account_id)
        self.faults.pop(account_id, None)
        if account_id in again.moving:
            self.faults[account_id] = [(2, "lacks lines that its head counts")]
        elif account_id in again.faults:
            self.faults[account_id] = again.faults[account_id]

    def findings(self) -> list[Finding]:
        """What must hold, in order, with what is wrong."""
        count, waiting = len(self._accounts), len(self._inbox)
        currencies = {account.currency for account in self._accounts.values()}
        sums = f"{len(currencies)} currencies, {count} accounts, {waiting} in inboxes, {self._postings} postings"
        findings = {
            1: Finding(1, "Entries sum to zero", sums),
            2: Finding(2, "Balances follow the journal", f"{count} accounts, {self.lines} lines"),
            3: Finding(3, "Holds and limits add up", f"{self._open_holds} open of {self._holds} holds"),
            4: Finding(4, "A transfer posts at most once", f"{self._postings} posted"),
            5: Finding(5, "What was declined moved nothing", f"{self._refusals} declined or failed"),
            8: Finding(8, "What is kept twice agrees", f"{self._projections} links, defaults, cards and payees"),
        }
        found = [*self._wrong, *self._trial(), *self._held(), *self._owned(), *self._untied()]
        for number, violation in found:
            findings[number].violations.append(violation)
        for account_id, faults in self.faults.items():
            for number, what in faults:
                findings[number].wrong(account_id, what)
        return list(findings.values())

    def drifts(self) -> list[Drift]:
        """What is wrong, without what is right."""
        return [
            Drift(finding.number, finding.title, *violation)
            for finding in self.findings()
            for violation in finding.violations
        ]

    # --- items

    def _take_head(self, account_id: str, item: Item) -> None:
        if item["sk"] != "H":
            return
        account = self._accounts[account_id]
        account.head, account.currency = _Head.of(item), item["currency"]
        if account.head.owner_id:
            self._projections += 1
            self._ties.say(account_id, 1, "link", account.head.owner_id)

    def _take_entry(self, account_id: str, item: Item) -> None:
        account = self._accounts[account_id]
        entries = entries_of(item)
        self.lines += len(entries)
        for entry in entries:
            if entry["at"] <= self._until:
                posted, held = entry.get("posted_change", entry.get("change", 0)), entry.get("held_change", 0)
                account.posted_then += posted
                account.held_then += held
                self._say_entry(entry["transfer_id"], account_id, posted)
                if held:
                    self._ties.say(entry["transfer_id"], held, "reserved" if held > 0 else "freed", account_id)
        if "page" in item:
            self._last_pages[account_id] = frozenset((each["transfer_id"], each["step"]) for each in entries)
        if account.fault:
            return
        if account.head and item["version"] > account.head.version:
            if item["sk"] <= self._until:
                account.fault = 2, f"has version {account.head.version}, and a line {item['version']}"
        else:
            account.fault = _follow_page(account, item, entries) if "page" in item else _follow_line(account, item)

    def _take_waiting(self, _: str, item: Item) -> None:
        self._inbox.append(item)

    def _take_inbox(self) -> None:
        # A page is written before what it holds is removed: in between, an entry is in both and counts once.
        none: frozenset[tuple[str, str]] = frozenset()
        self._inbox = [
            item
            for item in self._inbox
            if (item["transfer_id"], item["step"]) not in self._last_pages.get(item["account_id"], none)
        ]
        for item in self._inbox:
            account = self._accounts[item["account_id"]]
            account.currency = account.currency or item["currency"]
            if item["at"] <= self._until:
                account.posted_then += item["change"]
                self._say_entry(item["transfer_id"], item["account_id"], item["change"])

    def _say_entry(self, transfer_id: str, account_id: str, change: int) -> None:
        if change:
            self._ties.say(transfer_id, change, "posted", account_id)
            self._ties.say(transfer_id, change, "entries")

    def _take_step(self, transfer_id: str, item: Item) -> None:
        if item["sk"] == "hold":
            self._take_hold(transfer_id, item)
            return
        legs = [(leg["account_id"], leg["change"]) for leg in item["legs"]]
        if total := sum(change for _, change in legs):
            self._note(1, transfer_id, f"the marker of {item['step']} has legs that sum to {total:+}")
        if item["outcome"] == "posted":
            if not legs:
                self._note(4, transfer_id, "was posted without legs")
            self._posted(transfer_id, item["at"], legs)
            return
        self._refusals += 1
        if self._ties.watches(transfer_id):
            self._refused.add(transfer_id)
        if legs:
            self._note(5, transfer_id, f"its marker is {item['outcome']} and has legs")

    def _take_hold(self, transfer_id: str, hold: Item) -> None:
        self._holds += 1
        status, account_id, amount = hold["status"], hold["account_id"], hold["amount"]
        self._open_holds += status == "open"
        if status == "settled":
            settled = hold["settled_amount"]
            if not 0 < settled <= amount:
                self._note(4, transfer_id, f"its hold of {amount} was settled with {settled}")
            self._posted(
                transfer_id, hold["resolved_at"], [(account_id, -settled), (hold["destination_account_id"], settled)]
            )  # fmt: skip
        if status == "declined" or not account_id or hold["at"] > self._until:
            return
        self._ties.say(transfer_id, -amount, "reserved", account_id)
        if status != "open" and hold["resolved_at"] <= self._until:
            self._ties.say(transfer_id, amount, "freed", account_id)
        else:
            self._accounts[account_id].open_then += amount

    def _posted(self, transfer_id: str, at: str, legs: list[tuple[str, int]]) -> None:
        self._postings += 1
        last, times = self._transfer
        times = times + 1 if last == transfer_id else 1
        self._transfer = transfer_id, times
        if times > 1:
            self._note(4, transfer_id, f"was posted {times} times")
        if at <= self._until:
            for account_id, change in legs:
                self._ties.say(transfer_id, -change, "posted", account_id)

    def _take_owned(self, user_id: str, item: Item) -> None:
        kind, _, name = item["sk"].partition("#")
        if kind == "A":
            self._ties.say(name, -1, "link", user_id)
        elif kind == "D":
            self._projections += 1
            self._defaults.append((user_id, name, item["account_id"]))
        elif kind == "X" and item.get("kept"):
            self._gone.add(user_id)
        elif kind == "C":
            self._projections += 1
            self._ties.say(item["id"], 1, "card", user_id, item["fingerprint"])

    def _take_fingerprint(self, digest: str, item: Item) -> None:
        self._ties.say(item["card_id"], -1, "card", item["user_id"], digest)

    def _take_payee(self, name: str, item: Item) -> None:
        self._projections += 1
        user_id = item["user_id"]
        # The same state of a user may have become known twice, and an alias have been claimed the second time.
        content = json.dumps({key: item[key] for key in item if key not in ("pk", "sk", "at")}, sort_keys=True)
        if name != user_id:
            self._ties.say(user_id, -1, "payee", name, content)
            return
        for alias in (item["email"], item["phone"]):
            if alias:
                self._ties.say(user_id, 1, "payee", alias, content)

    # --- what must hold

    def _note(self, number: int, identity: str, what: str) -> None:
        self._wrong.append((number, Violation(identity, what)))

    def _check_account(self, account_id: str, account: _Account) -> None:
        head = account.head
        if head is None:
            faults = [(2, "has a journal and no head")] if account.version or account.fault else []
        elif account.fault:
            faults = [account.fault, *_check_head(account_id, head)]
        elif head.version != account.version and head.line_at > self._until:
            self.moving.add(account_id)
            return
        else:
            faults = [*_check_balances(account, head), *_check_head(account_id, head), *_check_spent(account, head)]
        if faults:
            self.faults[account_id] = faults

    def _trial(self) -> Iterator[tuple[int, Violation]]:
        totals: Counter[str] = Counter()
        for account_id, account in self._accounts.items():
            currency = account.currency or account_id.rpartition(":")[2]
            totals[currency] += account.posted_then + account.drift[0]
        for currency, total in totals.items():
            if total:
                yield 1, Violation(currency, f"all accounts together hold {total:+} minor units")

    def _held(self) -> Iterator[tuple[int, Violation]]:
        for account_id, account in self._accounts.items():
            held = account.held_then + account.drift[1]
            if held != account.open_then:
                yield 3, Violation(account_id, f"held is {held}, its open holds sum to {account.open_then}")

    def _owned(self) -> Iterator[tuple[int, Violation]]:
        for user_id, currency, account_id in self._defaults:
            account = self._accounts.get(account_id)
            head = account.head if account else None
            if account is None or head is None:
                yield 8, Violation(account_id, f"is the default of {user_id}, and not there")
            elif (head.owner_id, account.currency) != (user_id, currency) or head.status == "closed":
                what = f"is the {currency} default of {user_id}, and a {head.status} {account.currency} account of "
                yield 8, Violation(account_id, what + head.owner_id)
        defaults = {(user_id, currency) for user_id, currency, _ in self._defaults}
        for account_id, account in self._accounts.items():
            head = account.head
            if head is None or not head.owner_id or head.status == "closed":
                continue
            if (head.owner_id, account.currency) not in defaults:
                yield 8, Violation(account_id, f"is open, and {head.owner_id} has no {account.currency} default")
            if head.owner_id in self._gone:
                yield 8, Violation(account_id, f"is open, and {head.owner_id} is gone")

    def _untied(self) -> Iterator[tuple[int, Violation]]:
        for subject, facts in self._ties.facts.items():
            for fact, amount in facts.items():
                if not amount:
                    continue
                match fact:
                    case ("posted", account_id):
                        yield 4, Violation(subject, f"its entries give {account_id} {amount:+} beyond what was decided")
                        if subject in self._refused:
                            yield 5, Violation(subject, f"was refused and changed {account_id} by {amount:+}")
                    case ("entries",):
                        yield 1, Violation(subject, f"its entries sum to {amount:+}")
                    case ("reserved" | "freed" as done, account_id):
                        yield 4, Violation(subject, f"its lines have {done} {amount:+} of {account_id} beyond its hold")
                    case ("link", user_id):
                        side = "is not in the list" if amount > 0 else "is wrongly in the list"
                        yield 8, Violation(subject, f"{side} of {user_id}")
                    case ("card", user_id, _):
                        side = "has no fingerprint" if amount > 0 else "has a fingerprint, and is no card"
                        yield 8, Violation(subject, f"{side} of {user_id}")
                    case _:
                        side = "no entry that agrees with it" if amount > 0 else "an entry that it does not agree with"
                        yield 8, Violation(subject, f"has in the payee directory, under an alias, {side}")


def _follow_line(account: _Account, line: Item) -> tuple[int, str] | None:
    """Takes a journal line in, and answers what is wrong with it."""
    account.version += 1
    account.posted += line["posted_change"]
    account.held += line["held_change"]
    credit = line.get("credit_limit", 0)
    if line["version"] != account.version:
        return 2, f"has line {line['version']} where {account.version} belongs"
    if line["sk"] != f"{line['at']}#{account.version:012}":
        return 2, f"does not sort line {account.version} by its time and version"
    if (line["posted"], line["held"]) != (account.posted, account.held):
        return 2, (
            f"has {line['posted']}/{line['held']} on line {account.version}, and changes that sum to "
            f"{account.posted}/{account.held}"
        )
    if line["step"] == "credit_limit":
        if line["posted_change"] or line["held_change"]:
            return 2, f"has a change of balance on line {account.version}, which is one of its credit limit"
    elif account.version > 1 and credit != account.credit_limit:
        return 2, f"has a credit limit of {credit} on line {account.version}, which has not changed it"
    account.credit_limit = credit
    if account.posted - account.held + credit < 0:
        return 3, f"had {account.posted - account.held + credit} available after line {account.version}"
    _count_spent(account, line)
    return None


def _follow_page(account: _Account, page: Item, entries: Sequence[Item]) -> tuple[int, str] | None:
    """Takes a page in, and answers what is wrong with it."""
    account.pages += 1
    number, opening = page["page"], (page["opening_version"], page["opening_posted"])
    if number != account.pages or opening != (account.version, account.posted):
        return 2, f"has page {number}, which does not open where the journal stood"
    credit = page.get("credit_limit", 0)
    if page["held"] != account.held or (account.version and credit != account.credit_limit):
        return 2, f"has page {number}, which changed more than what is posted"
    account.credit_limit = credit
    account.version += len(entries)
    account.posted += sum(entry["change"] for entry in entries)
    if page["sk"] != f"{page['at']}#{account.version:012}":
        return 2, f"does not sort page {number} by its time and version"
    if (page["version"], page["posted"]) != (account.version, account.posted):
        return 2, f"has page {number}, which closes with {page['posted']}, not {account.posted}"
    return None


def _count_spent(account: _Account, line: Item) -> None:
    """Counts what a line lets go in its day and week; what it gives back counts no more where it was counted."""
    freed, at, transfer_id = line["posted_change"] - line["held_change"], line["at"], line["transfer_id"]
    if account.reserved is None:
        account.reserved = {}
    if freed < 0:
        amount, counted_at = -freed, at
        if line["held_change"] > 0:
            account.reserved[transfer_id] = at
    elif line["held_change"] < 0:
        amount, counted_at = -freed, account.reserved.pop(transfer_id, at)
    else:
        return
    day, week = at[:10], _week(at[:10])
    if day != account.day:
        account.day, account.day_spent = day, 0
    if week != account.week:
        account.week, account.week_spent = week, 0
    if counted_at[:10] == day:
        account.day_spent += amount
    if _week(counted_at[:10]) == week:
        account.week_spent += amount


@lru_cache(maxsize=4096)
def _week(day: str) -> str:
    year, number, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{number:02}"


def _check_balances(account: _Account, head: _Head) -> Iterator[tuple[int, str]]:
    if head.version != account.version:
        yield 2, f"version {head.version} after {account.version} lines"
    if (head.posted, head.held) != (account.posted, account.held):
        yield 2, f"holds {head.posted}/{head.held}, its journal {account.posted}/{account.held}"
    if account.version and head.credit_limit != account.credit_limit:
        yield 2, f"has a credit limit of {head.credit_limit}, its journal {account.credit_limit}"
    if head.fold != account.pages or head.clean not in (head.fold, head.fold - 1):
        yield 2, f"is folded to {head.fold} and clean to {head.clean}, and has {account.pages} pages"


def _check_head(account_id: str, head: _Head) -> Iterator[tuple[int, str]]:
    available = head.posted - head.held + head.credit_limit
    if head.available != available:
        yield 3, f"available says {head.available}, the balances give {available}"
    if ":" not in account_id and available < 0:
        yield 3, f"available is {available}"
    if head.status == "closed" and (head.posted or head.held):
        yield 3, f"is closed and holds {head.posted}/{head.held}"


def _check_spent(account: _Account, head: _Head) -> Iterator[tuple[int, str]]:
    for period, spent, last, counted in (
        (head.day, head.day_spent, account.day, account.day_spent),
        (head.week, head.week_spent, account.week, account.week_spent),
    ):
        if (period, spent) != (last, counted):
            yield 3, f"counts {spent} as spent in {period or 'no period'}, its journal {counted} in {last or 'none'}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a reconciliation found, as report number so much; `unread` accounts kept moving, and wait for the next."""

    number: int
    at: str
    accounts: int
    entries: int
    unread: int
    drifts: tuple[Drift, ...]

    @property
    def digest(self) -> str:
        """The same for the same drifts, whatever their amounts are by now; empty where there is none."""
        found = sorted({(drift.number, drift.id) for drift in self.drifts})
        return hashlib.sha256(json.dumps(found).encode()).hexdigest() if found else ""
