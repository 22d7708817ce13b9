"""The ledger's rules: what a step does to its accounts, decided from the accounts as they were read.

Amounts are integers in minor units. Times are text as `common.clock.timestamp` writes it.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from common import clock, ids
from common.events import Event, Type
from common.money import MAX_AMOUNT
from common.tasks import Post, PostOutcome, Refuse

from functions.accounts.domain.limits import Spending

INBOX_SHARDS = 32
_OTHER_STEPS = frozenset({"hold", "reserve", "settle", "release", "lapse", "credit_limit"})

Outcome = Literal["posted", "declined", "failed"]


@dataclass(frozen=True, slots=True)
class Head:
    """An account's balances as they stand. `line_at` is the time of its last line, empty where it has none.

    `changes` counts what was told of the account without a journal line; a `low_balance_alert` of None is none. A `hot`
    account's credits go to its inbox, and may wait there a while after it was hot: it still `has_inbox`.
    """

    account_id: str
    currency: str
    status: str
    posted: int
    held: int
    available: int
    version: int
    line_at: str
    owner_id: str = ""
    credit_limit: int = 0
    changes: int = 0
    low_balance_alert: int | None = None
    spending: Spending = field(default_factory=Spending)
    hot: bool = False
    has_inbox: bool = False

    @property
    def sequence(self) -> int:
        """The number of the account's last event: ascending, whether a line was written with it or not."""
        return self.version + self.changes


@dataclass(frozen=True, slots=True)
class Line:
    """A journal line: what a step changed in an account, and the balances and credit limit after it."""

    account_id: str
    version: int
    at: str
    currency: str
    posted_change: int
    held_change: int
    posted: int
    held: int
    transfer_id: str
    step: str
    entry_id: str
    description: str
    credit_limit: int = 0


@dataclass(frozen=True, slots=True)
class Booking:
    """A leg on an ordinary account: it holds only while the account still stands at `head`."""

    head: Head
    line: Line
    spending: Spending

    @property
    def account_id(self) -> str:
        """Whose leg this is."""
        return self.head.account_id

    @property
    def change(self) -> int:
        """What it does to the posted balance."""
        return self.line.posted_change

    @property
    def available_change(self) -> int:
        """What it does to the available balance."""
        return self.line.posted_change - self.line.held_change

    @property
    def events(self) -> tuple[Event, ...]:
        """That it took the available balance below what the owner wants to know of; not that it stayed there."""
        head, line = self.head, self.line
        available = head.available + self.available_change
        threshold = head.low_balance_alert
        if threshold is None or not available < threshold <= head.available:
            return ()
        data = {"available": available, "threshold": threshold}
        return (_event("balance.low", head, head.sequence + 1, line.at, data),)


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A leg on a system account, or a credit of a hot one: appended to its inbox, folded into a page later."""

    account_id: str
    transfer_id: str
    step: str
    change: int
    currency: str
    at: str
    description: str

    @property
    def shard(self) -> int:
        """The shard of the inbox that this entry goes to."""
        return zlib.crc32(f"{self.transfer_id}#{self.step}".encode()) % INBOX_SHARDS


Leg = Booking | InboxEntry


@dataclass(frozen=True, slots=True)
class LimitNotice:
    """That the owner is told of limits which a decline met for the first time in their periods.

    It is written with the decline, and holds only while the account still stands at `head`.
    """

    head: Head
    spending: Spending
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Marker:
    """What became of a step, for good. `legs` are account ids and their changes, which sum to zero."""

    transfer_id: str
    step: str
    outcome: Outcome
    code: str
    at: str
    currency: str = ""
    legs: tuple[tuple[str, int], ...] = ()

    @property
    def answer(self) -> PostOutcome:
        """The marker as the step's caller hears of it."""
        return PostOutcome(self.outcome, self.code, self.at)


@dataclass(frozen=True, slots=True)
class Posting:
    """A marker and what is written with it: its legs, or, with a refusal, at most a notice."""

    marker: Marker
    legs: tuple[Leg, ...] = ()
    notice: LimitNotice | None = None


def is_system(account_id: str) -> bool:
    """Whether this is one of the platform's own accounts (`rail:sandbox:USD`)."""
    return ":" in account_id


def system_currency(account_id: str) -> str:
    """The currency that a system account's id names."""
    return account_id.rpartition(":")[2]


def check_post(request: Post) -> None:
    """Refuses what no caller may ask for. Raises ValueError."""
    check_amount(request.amount)
    check_parties(request.source_account_id, request.destination_account_id)
    check_step(request.step)


def check_step(step: str) -> None:
    """Refuses a step's name that holds or credit limits use. Raises ValueError."""
    if not step or step in _OTHER_STEPS:
        raise ValueError(f"not a posting's step: {step!r}")


def plan_post(request: Post, heads: Mapping[str, Head], now: str) -> Posting:
    """A posting with its two legs, or its refusal, from the ordinary accounts among its parties."""
    source, destination = request.source_account_id, request.destination_account_id
    at = line_time(now, heads.values())
    refusal = (
        spend_refusal(source, request.amount, request.currency, heads, at)
        or receive_refusal(destination, request.currency, heads)
    )  # fmt: skip
    if refusal:
        outcome, code = refusal
        marker = Marker(request.transfer_id, request.step, outcome, code, now, request.currency)
        return Posting(marker, notice=limit_notice(code, source, request.amount, heads, at))
    booker = Booker(request.transfer_id, request.step, request.currency, at, request.description, heads)
    legs = (booker.leg(source, -request.amount), booker.leg(destination, request.amount))
    changes = tuple((leg.account_id, leg.change) for leg in legs)
    return Posting(Marker(request.transfer_id, request.step, "posted", "", at, request.currency, changes), legs)


def plan_refuse(request: Refuse, now: str) -> Posting:
    """The refusal of a step, whatever its accounts are."""
    return Posting(Marker(request.transfer_id, request.step, request.outcome, request.code, now))


@dataclass(frozen=True, slots=True)
class Booker:
    """Makes the legs of one step."""

    transfer_id: str
    step: str
    currency: str
    at: str
    description: str
    heads: Mapping[str, Head]

    def leg(self, account_id: str, posted: int, held: int = 0, *, counted_at: str = "") -> Leg:
        """The leg that changes an account's posted and held balances by so much.

        `counted_at` is when what it gives back was counted as spent.
        """
        if is_system(account_id) or (posted > 0 and self.heads[account_id].hot):
            return InboxEntry(
                account_id, self.transfer_id, self.step, posted, self.currency, self.at, self.description
            )  # fmt: skip
        head = self.heads[account_id]
        line = Line(
            account_id=account_id,
            version=head.version + 1,
            at=self.at,
            currency=self.currency,
            posted_change=posted,
            held_change=held,
            posted=head.posted + posted,
            held=head.held + held,
            transfer_id=self.transfer_id,
            step=self.step,
            entry_id=ids.derived_id("ent", clock.parse(self.at), self.transfer_id, self.step, account_id),
            description=self.description,
            credit_limit=head.credit_limit,
        )
        freed = posted - held
        spending = head.spending
        if freed < 0:
            spending = spending.spent(-freed, self.at)
        elif counted_at:
            spending = spending.given_back(freed, counted_at, self.at)
        return Booking(head, line, spending)


def spend_refusal(
    account_id: str, amount: int, currency: str, heads: Mapping[str, Head], at: str
) -> tuple[Outcome, str] | None:
    """Why an account can't pay at a moment: outcome and code, None where it can.

    Limits come last: what could not be paid anyway uses up no notice of a limit.
    """
    if is_system(account_id):
        return None if system_currency(account_id) == currency else ("failed", "currency_mismatch")
    head = heads.get(account_id)
    if head is None:
        return "failed", "not_found"
    if head.currency != currency:
        return "failed", "currency_mismatch"
    if head.status != "active":
        return "declined", "account_frozen"
    if head.available < amount:
        return "declined", "insufficient_funds"
    if any(head.spending.exceeded(amount, at)):
        return "declined", "limit_exceeded"
    return None


def limit_notice(code: str, account_id: str, amount: int, heads: Mapping[str, Head], at: str) -> LimitNotice | None:
    """What the owner is told of a refusal: each limit that it met, the first time in its period."""
    if code != "limit_exceeded":
        return None
    head = heads[account_id]
    met = [(name, each) for name, each in head.spending.exceeded(amount, at) if each.told != each.period]
    if not met:
        return None
    events = tuple(
        _event(
            "limit.exceeded",
            head,
            head.sequence + number,
            at,
            {"period": name, "limit": each.limit, "spent": each.spent, "amount": amount},
        )
        for number, (name, each) in enumerate(met, 1)
    )
    return LimitNotice(head, head.spending.rolled(at).told(*(name for name, _ in met)), events)


def receive_refusal(account_id: str, currency: str, heads: Mapping[str, Head]) -> tuple[Outcome, str] | None:
    """Why an account can't be paid: outcome and code, None where it can."""
    if is_system(account_id):
        return None if system_currency(account_id) == currency else ("failed", "currency_mismatch")
    head = heads.get(account_id)
    if head is None or head.status == "closed":
        return "failed", "payee_not_found"
    if head.currency != currency:
        return "failed", "currency_mismatch"
    return None


def line_time(now: str, heads: Iterable[Head]) -> str:
    """The time of a step's lines: never before a line that its accounts have already."""
    return max([now, *(head.line_at for head in heads)])


def check_amount(amount: int) -> None:
    """Refuses what is no amount. Raises ValueError."""
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise ValueError("an amount is a positive integer")


def check_parties(source: str, destination: str) -> None:
    """Refuses to move money from an account to itself. Raises ValueError."""
    if source == destination:
        raise ValueError("source and destination are one account")


def _event(type: Type, head: Head, sequence: int, at: str, data: Mapping[str, Any]) -> Event:
    about = {"account_id": head.account_id, "owner_id": head.owner_id, "currency": head.currency}
    return Event.new(type, head.account_id, sequence, clock.parse(at), {**about, **data})
