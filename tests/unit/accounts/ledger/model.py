"""A model of the ledger: plain numbers, one operation after another, no faults."""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, timedelta

from common.contracts.accounts import Expect, Post, Refuse, Release, Reserve, Settle
from common.dynamo import Item

from tests.unit.accounts.ledger.snapshot import Snapshot


@dataclass(frozen=True)
class SetStatus:
    """Change the status of an account. An account with money or holds, or one that expects money, can't be closed."""

    account_id: str
    status: str


@dataclass(frozen=True)
class SetLimits:
    """Set the spending limits of a day and a week; None means no limit."""

    account_id: str
    daily: int | None
    weekly: int | None


@dataclass(frozen=True)
class SetAlert:
    """Set the low-balance threshold; None means no alert."""

    account_id: str
    threshold: int | None


@dataclass(frozen=True)
class SetCredit:
    """Set the credit limit, which can't be below the credit in use."""

    account_id: str
    credit_limit: int


@dataclass(frozen=True)
class SetHot:
    """Make an account hot, or no longer hot."""

    account_id: str
    hot: bool


@dataclass(frozen=True)
class Lapse:
    """Let one hold lapse if it is past its time."""

    transfer_id: str


@dataclass(frozen=True)
class Wait:
    """Let days pass."""

    days: int


@dataclass(frozen=True)
class Fold:
    """Fold the pending credits of these shards."""

    account_id: str
    shards: tuple[int, ...]


Operation = (
    Expect | Post | Refuse | Reserve | Settle | Release | Lapse
    | SetStatus | SetLimits | SetAlert | SetCredit | SetHot | Wait | Fold
)  # fmt: skip
Answer = tuple[str, str, int]
"""Outcome, code, and amount (0 for a posting or an expectation); times are checked elsewhere."""
EventRow = tuple[str, ...]
"""An event: its type, account and data, as text."""

SATURDAY = date(2026, 11, 21)
"""Day 0. The clock of the tests is in the middle of a day. It advances by whole days and a few milliseconds."""


@dataclass
class Account:
    currency: str
    credit_limit: int = 0
    status: str = "active"
    posted: int = 0
    held: int = 0
    incoming: int = 0
    daily: int | None = None
    weekly: int | None = None
    alert: int | None = None
    counted: Counter[int] = field(default_factory=Counter)
    """What was spent or held, by the day on which it was counted."""
    notified: set[tuple[str, int]] = field(default_factory=set)
    """The days and weeks with an event that their limit was exceeded."""

    @property
    def available(self) -> int:
        return self.posted - self.held + self.credit_limit

    def spent(self, day: int) -> tuple[int, int]:
        """Return what was spent in a day and in its week."""
        return self.counted[day], sum(amount for other, amount in self.counted.items() if week(other) == week(day))


def week(day: int) -> int:
    """Return the number of a day's week. Day 2 is a Monday."""
    return (day + 5) // 7


@dataclass
class Model:
    accounts: dict[str, Account]
    today: int = 0
    steps: dict[tuple[str, str], Answer] = field(default_factory=dict)
    expectations: dict[str, Answer] = field(default_factory=dict)
    holds: dict[str, tuple[str, str, int, str]] = field(default_factory=dict)
    """Status, account, amount (held, paid or given back), and the code of a decline."""
    times: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """The day on which a hold was made, and the day on which it lapses."""
    events: list[EventRow] = field(default_factory=list)

    def fork(self) -> "Model":
        return deepcopy(self)

    def state(self) -> object:
        return (
            {
                name: (
                    *(account.posted, account.held, account.status, account.credit_limit, account.incoming),
                    *(account.daily, account.weekly, account.alert, *account.spent(self.today)),
                )
                for name, account in self.accounts.items()
            },
            self.steps,
            self.expectations,
            self.holds,
            sorted(self.events),
        )

    def state_of(self, snapshot: Snapshot, events: list[EventRow]) -> object:
        """Return the state of a ledger, from its items and its events."""
        balances = snapshot.balances()
        holds = {}
        for transfer_id, hold in snapshot.holds.items():
            amount = hold["settled_amount"] if hold["status"] == "settled" else hold["amount"]
            holds[transfer_id] = (hold["status"], hold["account_id"], amount, hold.get("code", ""))
        return (
            {
                name: (
                    *balances.get(name, (0, 0)),
                    *(_SYSTEM if ":" in name else _state_of(snapshot.heads[name], self.today)),
                )
                for name in self.accounts
            },
            {(step["transfer_id"], step["step"]): (step["outcome"], step["code"], 0) for step in snapshot.steps},
            {trf: (step["outcome"], step["code"], 0) for trf, step in snapshot.expectations.items()},
            holds,
            sorted(events),
        )

    def apply(self, operation: Operation) -> Answer:  # noqa: C901 (one case an operation)
        match operation:
            case Expect():
                return self._expect(operation)
            case Post():
                return self._post(operation)
            case Refuse():
                step = operation.transfer_id, operation.step
                if step not in self.steps and operation.expecting_account_id:
                    self.accounts[operation.expecting_account_id].incoming -= 1
                return self.steps.setdefault(step, (operation.outcome, operation.code, 0))
            case Reserve():
                return self._reserve(operation)
            case Settle():
                return self._settle(operation)
            case Release():
                return self._release(operation)
            case Lapse():
                return self._lapse(operation.transfer_id)
            case SetLimits():
                return self._set_limits(operation)
            case SetAlert():
                account = self.accounts[operation.account_id]
                if account.status == "closed":
                    return "refused", "", 0
                account.alert = operation.threshold
                return "set", "", 0
            case SetCredit():
                account = self.accounts[operation.account_id]
                if account.status == "closed" or account.posted - account.held + operation.credit_limit < 0:
                    return "refused", "", 0
                account.credit_limit = operation.credit_limit
                return "set", "", 0
            case SetHot():
                return "set", "", 0
            case Wait():
                self.today += operation.days
                return "waited", "", 0
            case SetStatus():
                account = self.accounts[operation.account_id]
                is_empty = not (account.posted or account.held or account.incoming)
                if account.status != operation.status == "closed" and not is_empty:
                    return "refused", "", 0
                if account.status == "closed" != operation.status:
                    return "refused", "", 0
                account.status = operation.status
                return "set", "", 0
            case Fold():
                return "folded", "", 0

    def _expect(self, expect: Expect) -> Answer:
        if expect.transfer_id not in self.expectations:
            refusal = self._cannot_be_paid(expect.account_id, expect.currency)
            if not refusal:
                self.accounts[expect.account_id].incoming += 1
            self.expectations[expect.transfer_id] = ("refused", refusal[1], 0) if refusal else ("expected", "", 0)
        return self.expectations[expect.transfer_id]

    def _post(self, post: Post) -> Answer:
        step = post.transfer_id, post.step
        if step not in self.steps:
            refusal = self._cannot_pay(post.source_account_id, post.amount, post.currency)
            refusal = refusal or self._cannot_be_paid(post.destination_account_id, post.currency)
            if not refusal:
                self._spend(post.source_account_id, post.amount)
                self.accounts[post.source_account_id].posted -= post.amount
                self.accounts[post.destination_account_id].posted += post.amount
            self.steps[step] = (*(refusal or ("posted", "")), 0)
            if post.is_expected:
                self.accounts[post.destination_account_id].incoming -= 1
        return self.steps[step]

    def _reserve(self, reserve: Reserve) -> Answer:
        if reserve.transfer_id not in self.holds:
            refusal = self._cannot_pay(reserve.account_id, reserve.amount, reserve.currency)
            if not refusal:
                self._spend(reserve.account_id, reserve.amount)
                self.accounts[reserve.account_id].held += reserve.amount
                lapses = (date.fromisoformat(reserve.lapses_at[:10]) - SATURDAY).days if reserve.lapses_at else None
                self.times[reserve.transfer_id] = self.today, lapses
            status, code = ("declined", refusal[1]) if refusal else ("open", "")
            self.holds[reserve.transfer_id] = status, reserve.account_id, reserve.amount, code
        return self._hold(reserve.transfer_id)

    def _settle(self, settle: Settle) -> Answer:
        status, payer, held, _ = self.holds.get(settle.transfer_id, ("", "", 0, ""))
        if status != "open":
            return self._hold(settle.transfer_id)
        if self._is_past(settle.transfer_id):
            return self._give_back(settle.transfer_id)
        amount = held if settle.amount is None else settle.amount
        if amount > held or payer == settle.destination_account_id:
            return "ValueError", "", 0
        refusal = self._cannot_be_paid(settle.destination_account_id, self.accounts[payer].currency)
        if refusal:
            return "declined", refusal[1], 0
        self.accounts[payer].held -= held
        self.accounts[payer].posted -= amount
        self.accounts[payer].counted[self.times[settle.transfer_id][0]] -= held - amount
        self.accounts[settle.destination_account_id].posted += amount
        self.holds[settle.transfer_id] = "settled", payer, amount, ""
        return self._hold(settle.transfer_id)

    def _release(self, release: Release) -> Answer:
        status = self.holds.setdefault(release.transfer_id, ("released", "", 0, ""))[0]
        return self._give_back(release.transfer_id) if status == "open" else self._hold(release.transfer_id)

    def _lapse(self, transfer_id: str) -> Answer:
        is_open = self.holds.get(transfer_id, ("",))[0] == "open"
        return self._give_back(transfer_id) if is_open and self._is_past(transfer_id) else self._hold(transfer_id)

    def _is_past(self, transfer_id: str) -> bool:
        lapses = self.times[transfer_id][1]
        return lapses is not None and lapses <= self.today

    def _give_back(self, transfer_id: str) -> Answer:
        _, account_id, amount, _ = self.holds[transfer_id]
        self.accounts[account_id].held -= amount
        self.accounts[account_id].counted[self.times[transfer_id][0]] -= amount
        self.holds[transfer_id] = "lapsed" if self._is_past(transfer_id) else "released", account_id, amount, ""
        return self._hold(transfer_id)

    def _spend(self, name: str, amount: int) -> None:
        """Count what is spent, and add an event if the balance becomes low."""
        account = self.accounts[name]
        if ":" in name:
            return
        account.counted[self.today] += amount
        before, after = account.available, account.available - amount
        if account.alert is not None and before >= account.alert > after:
            self.events.append(("balance.low", name, str(after), str(account.alert)))

    def _set_limits(self, wanted: SetLimits) -> Answer:
        account = self.accounts[wanted.account_id]
        if account.status == "closed":
            return "refused", "", 0
        kept = set()
        if account.daily == wanted.daily:
            kept |= {each for each in account.notified if each[0] == "daily"}
        if account.weekly == wanted.weekly:
            kept |= {each for each in account.notified if each[0] == "weekly"}
        account.daily, account.weekly, account.notified = wanted.daily, wanted.weekly, kept
        return "set", "", 0

    def _hold(self, transfer_id: str) -> Answer:
        if transfer_id not in self.holds:
            return "not_found", "", 0
        status, _, amount, code = self.holds[transfer_id]
        return ("held" if status == "open" else status), code, 0 if status == "declined" else amount

    def _cannot_pay(self, name: str, amount: int, currency: str) -> tuple[str, str] | None:
        account = self.accounts.get(name)
        refused = False
        if account is None:
            return "failed", "not_found"
        if account.currency != currency:
            return "failed", "currency_mismatch"
        if ":" in name:
            return None
        if account.status != "active":
            return "declined", "account_frozen"
        if account.available < amount:
            return "declined", "insufficient_funds"
        today, this_week = account.spent(self.today)
        for period, number, limit, spent in (
            ("daily", self.today, account.daily, today),
            ("weekly", week(self.today), account.weekly, this_week),
        ):
            if limit is not None and spent + amount > limit:
                refused = True
                if (period, number) not in account.notified:
                    account.notified.add((period, number))
                    self.events.append(("limit.exceeded", name, period, str(limit), str(spent), str(amount)))
        return ("declined", "limit_exceeded") if refused else None

    def _cannot_be_paid(self, name: str, currency: str) -> tuple[str, str] | None:
        account = self.accounts.get(name)
        if account is None or account.status == "closed":
            return "failed", "payee_not_found"
        return ("failed", "currency_mismatch") if account.currency != currency else None


_SYSTEM = ("active", 0, 0, None, None, None, 0, 0)


def _state_of(head: Item, today: int) -> tuple[object, ...]:
    """Return an account's state on a day, from its head."""
    moment = SATURDAY + timedelta(days=today)
    year, number, _ = moment.isocalendar()
    return (
        *(head["status"], head["credit_limit"], head.get("incoming", 0)),
        *(head.get("daily_limit"), head.get("weekly_limit"), head.get("low_balance_alert")),
        head["day_spent"] if head.get("day") == moment.isoformat() else 0,
        head["week_spent"] if head.get("week") == f"{year}-W{number:02}" else 0,
    )
