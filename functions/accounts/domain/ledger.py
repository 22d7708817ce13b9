"""The ledger: accounts as they stand, journal lines, and the legs by which a step changes its accounts.

Amounts are integers in minor units. Times are text as `common.clock.timestamp` writes it.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from common import clock, ids
from common.contracts.events import Event, EventType
from common.money import MAX_AMOUNT

from functions.accounts.domain.limits import Spending

PENDING_SHARDS = 32


@dataclass(frozen=True, slots=True)
class Head:
    """An account's balances as they stand. `line_at` is the time of its last line, empty if it has none.

    `changes` counts the events of the account that came without a journal line. If `low_balance_alert` is None, there
    is no alert. Credits of a `hot` account are pending until they are folded. An account that is no longer hot may
    still have some, so `may_have_pending` stays true.
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
    may_have_pending: bool = False

    @property
    def sequence(self) -> int:
        """The number of the account's last event. It ascends, whether or not a line was written with the event."""
        return self.version + self.changes


@dataclass(frozen=True, slots=True)
class JournalLine:
    """What a step changed in an account, and the balances and credit limit after it."""

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
class BookedLeg:
    """A leg that is written to the journal with its step. Its write fails if the account is no longer as in `head`."""

    head: Head
    line: JournalLine
    spending: Spending

    @property
    def account_id(self) -> str:
        """The account of this leg."""
        return self.head.account_id

    @property
    def change(self) -> int:
        """The change of the posted balance."""
        return self.line.posted_change

    @property
    def available_change(self) -> int:
        """The change of the available balance."""
        return self.line.posted_change - self.line.held_change

    @property
    def events(self) -> tuple[Event, ...]:
        """The `balance.low` event, if this leg takes the available balance below the owner's threshold."""
        head, line = self.head, self.line
        available = head.available + self.available_change
        threshold = head.low_balance_alert
        if threshold is None or not available < threshold <= head.available:
            return ()
        data = {"available": available, "threshold": threshold}
        return (_event("balance.low", head, head.sequence + 1, line.at, data),)


@dataclass(frozen=True, slots=True)
class PendingLeg:
    """A leg that is stored as a pending credit and folded into the journal later.

    The credits of a hot account are pending, and every leg of a system account is, its debits too.
    """

    account_id: str
    transfer_id: str
    step: str
    change: int
    currency: str
    at: str
    description: str

    @property
    def shard(self) -> int:
        """The shard in which this leg is stored."""
        return zlib.crc32(f"{self.transfer_id}#{self.step}".encode()) % PENDING_SHARDS


Leg = BookedLeg | PendingLeg


@dataclass(frozen=True, slots=True)
class LimitNotice:
    """A notice that a payment was declined by a limit; sent once per limit and period.

    It is written with the decline. Its write fails if the account is no longer as in `head`.
    """

    head: Head
    spending: Spending
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class LegMaker:
    """Makes the legs of one step."""

    transfer_id: str
    step: str
    currency: str
    at: str
    description: str
    heads: Mapping[str, Head]

    def leg(self, account_id: str, posted: int, held: int = 0, *, counted_at: str = "") -> Leg:
        """Return the leg that changes an account's posted and held balances by these amounts.

        `counted_at` is the time at which the money that a hold gives back was counted as spent.
        """
        if is_system(account_id) or (posted > 0 and self.heads[account_id].hot):
            return PendingLeg(
                account_id, self.transfer_id, self.step, posted, self.currency, self.at, self.description
            )  # fmt: skip
        head = self.heads[account_id]
        line = JournalLine(
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
        return BookedLeg(head, line, spending)


def is_system(account_id: str) -> bool:
    """Whether this is one of the platform's own accounts (`rail:sandbox:USD`)."""
    return ":" in account_id


def system_currency(account_id: str) -> str:
    """Return the currency that a system account's id names."""
    return account_id.rpartition(":")[2]


def spend_refusal(
    account_id: str, amount: int, currency: str, heads: Mapping[str, Head], at: str
) -> tuple[Literal["declined", "failed"], str] | None:
    """Return outcome and code if an account can't pay this amount at this time, else None.

    Limits are checked last, so that a payment that would be declined anyway uses up no notice of a limit.
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


def receive_refusal(account_id: str, currency: str, heads: Mapping[str, Head]) -> tuple[Literal["failed"], str] | None:
    """Return outcome and code if an account can't be paid, else None."""
    if is_system(account_id):
        return None if system_currency(account_id) == currency else ("failed", "currency_mismatch")
    head = heads.get(account_id)
    if head is None or head.status == "closed":
        return "failed", "payee_not_found"
    if head.currency != currency:
        return "failed", "currency_mismatch"
    return None


def limit_notice(code: str, account_id: str, amount: int, heads: Mapping[str, Head], at: str) -> LimitNotice | None:
    """Return the notice of a decline: one event for each exceeded limit that had no event in its period yet."""
    if code != "limit_exceeded":
        return None
    head = heads[account_id]
    new = [(name, each) for name, each in head.spending.exceeded(amount, at) if each.notified != each.period]
    if not new:
        return None
    events = tuple(
        _event(
            "limit.exceeded",
            head,
            head.sequence + number,
            at,
            {"period": name, "limit": each.limit, "spent": each.spent, "amount": amount},
        )
        for number, (name, each) in enumerate(new, 1)
    )
    return LimitNotice(head, head.spending.rolled(at).notified(*(name for name, _ in new)), events)


def line_time(now: str, heads: Iterable[Head]) -> str:
    """Return the time of a step's lines: `now`, or the last line of its accounts if that is later."""
    return max([now, *(head.line_at for head in heads)])


def check_amount(amount: int) -> None:
    """Raise ValueError unless this is a positive amount within the limits of the platform."""
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise ValueError("an amount must be a positive integer")


def check_parties(source: str, destination: str) -> None:
    """Raise ValueError if source and destination are the same account."""
    if source == destination:
        raise ValueError("source and destination are one account")


def _event(type: EventType, head: Head, sequence: int, at: str, data: Mapping[str, Any]) -> Event:
    about = {"account_id": head.account_id, "owner_id": head.owner_id, "currency": head.currency}
    return Event.new(type, head.account_id, sequence, clock.parse(at), {**about, **data})
