"""One pass over the accounts table, or over the items of one account, that checks every invariant."""

import zlib
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import timedelta

from common import clock

from functions.accounts.domain.reconciliation.accounts import AccountItems, Fault, HeadItem, Item, entries_of
from functions.accounts.domain.reconciliation.findings import Drift, Finding, Violation
from functions.accounts.domain.reconciliation.ownership import Ownership
from functions.accounts.domain.reconciliation.pairs import Pairs

_END_OF_TIME = "~"
_OVERDUE = timedelta(days=2)


class Inspection:
    """The invariants as of `until`. Younger lines, step outcomes and holds may lack their counterparts and are ignored.

    `items` come partition by partition, in the order of their keys, as a scan returns them. Memory holds about 1 KB an
    account, what is open or pending, and the facts in `watched` buckets (None for all); violations of the other facts
    are not named, but `unbalanced` returns their buckets. `incoming` are the expectations that some heads counted
    before this pass began: an expectation is in no head's journal, so a head that is read later may not agree.
    """

    def __init__(
        self,
        items: Iterable[Item],
        *,
        until: str = _END_OF_TIME,
        watched: Container[int] | None = None,
        incoming: Mapping[str, int] | None = None,
    ) -> None:
        self.lines = 0
        self.faults: dict[str, list[Fault]] = {}
        """What is wrong with each account."""
        self.moving: set[str] = set()
        """Accounts that changed after their journal was read and before their head was read."""
        self._until = until
        self._pairs = Pairs(watched)
        self._ownership = Ownership(self._pairs)
        self._accounts: dict[str, AccountItems] = defaultdict(AccountItems)
        self._pending: list[Item] = []
        self._last_batches: dict[str, frozenset[tuple[str, str]]] = {}
        self._refused: set[str] = set()
        self._incoming = incoming or {}
        self._expectations: dict[str, tuple[str, str]] = {}
        """The account and time of each expectation that is open."""
        self._just_ended: Counter[str] = Counter()
        """How many expectations of each account have ended after `until`."""
        self._last_transfer = ("", 0)
        self._postings = self._refusals = self._open_holds = self._holds = 0
        self._wrong: list[tuple[int, Violation]] = []
        readers = {
            "A": self._read_head,
            "E": self._read_journal,
            "I": self._read_pending,
            "S": self._read_step,
            "U": self._ownership.read_owned,
            "F": self._ownership.read_fingerprint,
            "P": self._ownership.read_payee,
        }
        for item in items:
            kind, _, name = item["pk"].partition("#")
            if kind not in readers:
                continue
            try:
                readers[kind](name, item)
            except (KeyError, TypeError, ValueError, zlib.error) as fault:
                # The keys of the other kinds hold personal data.
                self._note(2, name if kind in "AEIS" else kind, f"has an invalid item: {fault!r}")
        self._count_pending()
        for account_id, account in self._accounts.items():
            self._check_account(account_id, account)

    @property
    def accounts(self) -> int:
        """The number of accounts."""
        return len(self._accounts)

    @property
    def unbalanced(self) -> set[int]:
        """The buckets to watch in another inspection, which then names what is wrong in them."""
        return self._pairs.unbalanced()

    @property
    def overdue(self) -> list[Violation]:
        """What has been expected for longer than two days. A rail may be asked for long, so nothing may be wrong."""
        if self._until == _END_OF_TIME:
            return []
        limit = clock.timestamp(clock.parse(self._until) - _OVERDUE)
        expected = self._expectations.items()
        return [Violation(name, f"expects money of {trf} since {at}") for trf, (name, at) in expected if at < limit]

    def recheck(self, account_id: str, items: Iterable[Item]) -> None:
        """Check an account again, from its head and then its journal, read in this order."""
        again = Inspection(items, until=self._until, watched=())
        self.moving.discard(account_id)
        self.faults.pop(account_id, None)
        if account_id in again.moving:
            self.faults[account_id] = [(2, "lacks lines that its head counts")]
        elif account_id in again.faults:
            self.faults[account_id] = again.faults[account_id]

    def findings(self) -> list[Finding]:
        """Return the invariants in order, with their violations."""
        count, pending = len(self._accounts), len(self._pending)
        currencies = {account.currency for account in self._accounts.values()}
        copies = f"{self._ownership.copies} links, defaults, cards and payees"
        sums = f"{len(currencies)} currencies, {count} accounts, {pending} pending credits, {self._postings} postings"
        findings = {
            1: Finding(1, "Entries sum to zero", sums),
            2: Finding(2, "Balances follow the journal", f"{count} accounts, {self.lines} lines"),
            3: Finding(3, "Holds and limits add up", f"{self._open_holds} open of {self._holds} holds"),
            4: Finding(4, "A transfer posts at most once", f"{self._postings} posted"),
            5: Finding(5, "Declined transfers moved nothing", f"{self._refusals} declined or failed"),
            8: Finding(8, "Copies agree with each other", copies),
        }
        ownership, pairs = self._ownership.violations(self._accounts), self._pairs.violations(self._refused)
        for number, violation in [*self._wrong, *self._sums(), *self._held(), *self._expected(), *ownership, *pairs]:
            findings[number].violations.append(violation)
        for account_id, faults in self.faults.items():
            for number, what in faults:
                findings[number].wrong(account_id, what)
        return list(findings.values())

    def drifts(self) -> list[Drift]:
        """Return all violations."""
        return [
            Drift(finding.number, finding.title, *violation)
            for finding in self.findings()
            for violation in finding.violations
        ]

    def _read_head(self, account_id: str, item: Item) -> None:
        if item["sk"] != "H":
            return
        account = self._accounts[account_id]
        account.head, account.currency = HeadItem.of(item), item["currency"]
        self._ownership.read_owner(account_id, account.head.owner_id)

    def _read_journal(self, account_id: str, item: Item) -> None:
        account = self._accounts[account_id]
        entries = entries_of(item)
        self.lines += len(entries)
        for entry in entries:
            if entry["at"] <= self._until:
                posted, held = entry.get("posted_change", entry.get("change", 0)), entry.get("held_change", 0)
                account.posted_then += posted
                account.held_then += held
                self._add_entry(entry["transfer_id"], account_id, posted)
                if held:
                    self._pairs.add(entry["transfer_id"], held, "reserved" if held > 0 else "freed", account_id)
        if "page" in item:
            self._last_batches[account_id] = frozenset((each["transfer_id"], each["step"]) for each in entries)
        account.follow(item, entries, self._until)

    def _read_pending(self, _: str, item: Item) -> None:
        self._pending.append(item)

    def _count_pending(self) -> None:
        # A batch is written before its pending credits are deleted. In between, an entry is in both and counts once.
        none: frozenset[tuple[str, str]] = frozenset()
        self._pending = [
            item
            for item in self._pending
            if (item["transfer_id"], item["step"]) not in self._last_batches.get(item["account_id"], none)
        ]
        for item in self._pending:
            account = self._accounts[item["account_id"]]
            account.currency = account.currency or item["currency"]
            if item["at"] <= self._until:
                account.posted_then += item["change"]
                self._add_entry(item["transfer_id"], item["account_id"], item["change"])

    def _add_entry(self, transfer_id: str, account_id: str, change: int) -> None:
        if change:
            self._pairs.add(transfer_id, change, "posted", account_id)
            self._pairs.add(transfer_id, change, "entries")

    def _read_step(self, transfer_id: str, item: Item) -> None:
        if item["sk"] == "hold":
            self._read_hold(transfer_id, item)
            return
        if item["sk"] == "expect":
            if item["outcome"] == "expected":
                self._expectations[transfer_id] = item["account_id"], item["at"]
            return
        if item["sk"] == "post":
            account_id, _ = self._expectations.pop(transfer_id, ("", ""))
            self._just_ended[account_id] += item["at"] > self._until
        legs = [(leg["account_id"], leg["change"]) for leg in item["legs"]]
        if total := sum(change for _, change in legs):
            self._note(1, transfer_id, f"the legs of step {item['step']} sum to {total:+}")
        if item["outcome"] == "posted":
            if not legs:
                self._note(4, transfer_id, "was posted without legs")
            self._add_posting(transfer_id, item["at"], legs)
            return
        self._refusals += 1
        if self._pairs.watches(transfer_id):
            self._refused.add(transfer_id)
        if legs:
            self._note(5, transfer_id, f"has a step that is {item['outcome']} and has legs")

    def _read_hold(self, transfer_id: str, hold: Item) -> None:
        self._holds += 1
        status, account_id, amount = hold["status"], hold["account_id"], hold["amount"]
        self._open_holds += status == "open"
        if status == "settled":
            settled = hold["settled_amount"]
            if not 0 < settled <= amount:
                self._note(4, transfer_id, f"its hold of {amount} was settled with {settled}")
            legs = [(account_id, -settled), (hold["destination_account_id"], settled)]
            self._add_posting(transfer_id, hold["resolved_at"], legs)
        if status == "declined" or not account_id or hold["at"] > self._until:
            return
        self._pairs.add(transfer_id, -amount, "reserved", account_id)
        if status != "open" and hold["resolved_at"] <= self._until:
            self._pairs.add(transfer_id, amount, "freed", account_id)
        else:
            self._accounts[account_id].open_then += amount

    def _add_posting(self, transfer_id: str, at: str, legs: list[tuple[str, int]]) -> None:
        self._postings += 1
        last, times = self._last_transfer
        times = times + 1 if last == transfer_id else 1
        self._last_transfer = transfer_id, times
        if times > 1:
            self._note(4, transfer_id, f"was posted {times} times")
        if at <= self._until:
            for account_id, change in legs:
                self._pairs.add(transfer_id, -change, "posted", account_id)

    def _note(self, number: int, identity: str, what: str) -> None:
        self._wrong.append((number, Violation(identity, what)))

    def _check_account(self, account_id: str, account: AccountItems) -> None:
        head = account.head
        if head and not account.fault and head.version != account.version and head.line_at > self._until:
            self.moving.add(account_id)
        elif faults := account.faults(account_id):
            self.faults[account_id] = faults

    def _sums(self) -> Iterator[tuple[int, Violation]]:
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
                yield 3, Violation(account_id, f"has held {held}, its open holds sum to {account.open_then}")

    def _expected(self) -> Iterator[tuple[int, Violation]]:
        """Compare heads with expectations that have not ended. Those that began or ended lately may be counted."""
        least, lately = Counter[str](), self._just_ended.copy()
        for account_id, at in self._expectations.values():
            (least if at <= self._until else lately)[account_id] += 1
        for account_id in {*self._accounts, *least}:
            account = self._accounts.get(account_id, AccountItems())
            head = account.head
            if account_id in self._incoming:
                counted = self._incoming[account_id]
            elif head and head.version != account.version:
                continue
            else:
                counted = head.incoming if head else 0
            if not least[account_id] <= counted <= least[account_id] + lately[account_id]:
                what = f"expects {counted} payments, its open expectations are {least[account_id]}"
                yield 3, Violation(account_id, what)
