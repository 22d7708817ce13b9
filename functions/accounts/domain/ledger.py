"""The ledger's rules: what a step does to its accounts, decided from the accounts as they were read.

Amounts are integers in minor units. Times are text as `common.clock.timestamp` writes it.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from common import clock, ids
from common.money import MAX_AMOUNT
from common.tasks import Post, PostOutcome, Refuse

INBOX_SHARDS = 32
_HOLD_STEPS = frozenset({"hold", "reserve", "settle", "release"})

Outcome = Literal["posted", "declined", "failed"]


@dataclass(frozen=True, slots=True)
class Head:
    """An account's balances as they stand. `line_at` is the time of its last line, empty where it has none."""

    account_id: str
    currency: str
    status: str
    posted: int
    held: int
    available: int
    version: int
    line_at: str


@dataclass(frozen=True, slots=True)
class Line:
    """A journal line: what a step changed in an account, and the balances after it."""

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


@dataclass(frozen=True, slots=True)
class Booking:
    """A leg on an ordinary account: it holds only while the account still stands at `head`."""

    head: Head
    line: Line

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


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A leg on a system account: appended to its inbox, folded into a page later."""

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
    """A marker and the legs that are written with it; a refusal has none."""

    marker: Marker
    legs: tuple[Leg, ...] = ()


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
    """Refuses a step's name that holds use. Raises ValueError."""
    if not step or step in _HOLD_STEPS:
        raise ValueError(f"not a posting's step: {step!r}")


def plan_post(request: Post, heads: Mapping[str, Head], now: str) -> Posting:
    """A posting with its two legs, or its refusal, from the ordinary accounts among its parties."""
    source, destination = request.source_account_id, request.destination_account_id
    refusal = (
        spend_refusal(source, request.amount, request.currency, heads)
        or receive_refusal(destination, request.currency, heads)
    )  # fmt: skip
    if refusal:
        outcome, code = refusal
        return Posting(Marker(request.transfer_id, request.step, outcome, code, now, request.currency))
    at = line_time(now, heads.values())
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

    def leg(self, account_id: str, posted: int, held: int = 0) -> Leg:
        """The leg that changes an account's posted and held balances by so much."""
        if is_system(account_id):
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
        )
        return Booking(head, line)


def spend_refusal(
    account_id: str, amount: int, currency: str, heads: Mapping[str, Head]
) -> tuple[Outcome, str] | None:  # fmt: skip
    """Why an account can't pay: outcome and code, None where it can."""
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
    return None


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
