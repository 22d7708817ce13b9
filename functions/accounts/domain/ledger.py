"""The ledger's rules: what a step does to its accounts, decided from the accounts as they were read.

Amounts are integers in minor units. Times are text as `common.clock.timestamp` writes it.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from common import clock, ids
from common.money import MAX_AMOUNT
from common.tasks import HoldOutcome, Post, PostOutcome, Refuse, Reserve, Settle

INBOX_SHARDS = 32
# A folded line takes some 150 bytes of the 400 KB that an item may have.
PAGE_LINES = 1000
_HOLD_STEPS = frozenset({"hold", "reserve", "settle", "release"})

Outcome = Literal["posted", "declined", "failed"]
HoldStatus = Literal["open", "settled", "released", "declined"]


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
        """The shard of the inbox that this entry always goes to."""
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


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for a transfer, and what became of it. A declined one, and one released early, hold nothing."""

    transfer_id: str
    account_id: str
    amount: int
    currency: str
    status: HoldStatus
    at: str
    description: str = ""
    code: str = ""
    settled_amount: int = 0
    destination_account_id: str = ""
    resolved_at: str = ""

    @property
    def answer(self) -> HoldOutcome:
        """The hold as a caller hears of it."""
        match self.status:
            case "open":
                return HoldOutcome("held", at=self.at, amount=self.amount)
            case "settled":
                return HoldOutcome("settled", at=self.resolved_at, amount=self.settled_amount)
            case "released":
                return HoldOutcome("released", at=self.resolved_at, amount=self.amount)
            case "declined":
                return HoldOutcome("declined", self.code, self.at)


@dataclass(frozen=True, slots=True)
class HoldChange:
    """A hold as it shall be, and the legs that are written with it."""

    hold: Hold
    legs: tuple[Leg, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemHead:
    """A system account's folded balance. Pages number `fold`; of those before `clean` no entry is left in the inbox."""

    account_id: str
    currency: str
    posted: int = 0
    version: int = 0
    line_at: str = ""
    fold: int = 0
    clean: int = 0


@dataclass(frozen=True, slots=True)
class PageLine:
    """One folded entry, and the shard whose inbox it came from."""

    transfer_id: str
    step: str
    change: int
    at: str
    shard: int


@dataclass(frozen=True, slots=True)
class Page:
    """Entries folded at once: the system account's version and balance before and after them."""

    account_id: str
    page: int
    at: str
    opening_version: int
    opening_posted: int
    version: int
    posted: int
    lines: tuple[PageLine, ...]


def is_system(account_id: str) -> bool:
    """Whether this is one of the platform's own accounts (`rail:sandbox:USD`)."""
    return ":" in account_id


def system_currency(account_id: str) -> str:
    """The currency that a system account's id names."""
    return account_id.rpartition(":")[2]


def check_post(request: Post) -> None:
    """Refuses what no caller may ask for. Raises ValueError."""
    _check_amount(request.amount)
    _check_parties(request.source_account_id, request.destination_account_id)
    check_step(request.step)


def check_step(step: str) -> None:
    """Refuses a step's name that holds use. Raises ValueError."""
    if not step or step in _HOLD_STEPS:
        raise ValueError(f"not a posting's step: {step!r}")


def check_reserve(request: Reserve) -> None:
    """Refuses what no caller may ask for. Raises ValueError."""
    _check_amount(request.amount)
    if is_system(request.account_id):
        raise ValueError("a system account holds nothing")


def plan_post(request: Post, heads: Mapping[str, Head], now: str) -> Posting:
    """A posting with its two legs, or its refusal, from the ordinary accounts among its parties."""
    source, destination = request.source_account_id, request.destination_account_id
    refusal = (
        _spend_refusal(source, request.amount, request.currency, heads)
        or _receive_refusal(destination, request.currency, heads)
    )  # fmt: skip
    if refusal:
        outcome, code = refusal
        return Posting(Marker(request.transfer_id, request.step, outcome, code, now, request.currency))
    at = _time(now, heads.values())
    booker = _Booker(request.transfer_id, request.step, request.currency, at, request.description, heads)
    legs = (booker.leg(source, -request.amount), booker.leg(destination, request.amount))
    changes = tuple((leg.account_id, leg.change) for leg in legs)
    return Posting(Marker(request.transfer_id, request.step, "posted", "", at, request.currency, changes), legs)


def plan_refuse(request: Refuse, now: str) -> Posting:
    """The refusal of a step, whatever its accounts are."""
    return Posting(Marker(request.transfer_id, request.step, request.outcome, request.code, now))


def plan_reserve(request: Reserve, heads: Mapping[str, Head], now: str) -> HoldChange:
    """An open hold, or a declined one that holds nothing."""
    hold = Hold(
        request.transfer_id, request.account_id, request.amount, request.currency, "open", now, request.description
    )  # fmt: skip
    refusal = _spend_refusal(request.account_id, request.amount, request.currency, heads)
    if refusal:
        return HoldChange(replace(hold, status="declined", code=refusal[1]))
    at = _time(now, heads.values())
    booker = _Booker(request.transfer_id, "reserve", request.currency, at, request.description, heads)
    return HoldChange(replace(hold, at=at), (booker.leg(request.account_id, 0, request.amount),))


def check_settle(request: Settle, hold: Hold) -> None:
    """Refuses what no caller may ask of an open hold. Raises ValueError."""
    _check_amount(_paid(request, hold))
    if _paid(request, hold) > hold.amount:
        raise ValueError("a hold pays no more than it holds")
    _check_parties(hold.account_id, request.destination_account_id)


def plan_settle(request: Settle, hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange | str:
    """An open hold settled, or the code of why its destination can't be paid.

    That the payer's account was frozen since stops nothing: the money was promised while it was active.
    """
    amount = _paid(request, hold)
    refusal = _receive_refusal(request.destination_account_id, hold.currency, heads)
    if refusal:
        return refusal[1]
    at = _time(now, heads.values())
    booker = _Booker(hold.transfer_id, "settle", hold.currency, at, hold.description, heads)
    settled = replace(
        hold,
        status="settled",
        settled_amount=amount,
        destination_account_id=request.destination_account_id,
        resolved_at=at,
    )
    legs = (booker.leg(hold.account_id, -amount, -hold.amount), booker.leg(request.destination_account_id, amount))
    return HoldChange(settled, legs)


def plan_release(hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange:
    """An open hold given back."""
    at = _time(now, heads.values())
    booker = _Booker(hold.transfer_id, "release", hold.currency, at, hold.description, heads)
    released = replace(hold, status="released", resolved_at=at)
    return HoldChange(released, (booker.leg(hold.account_id, 0, -hold.amount),))


def plan_early_release(transfer_id: str, now: str) -> HoldChange:
    """The hold of a transfer that was released before it was made: one that comes late finds it and holds nothing."""
    return HoldChange(Hold(transfer_id, "", 0, "", "released", now, resolved_at=now))


def new_system_head(account_id: str) -> SystemHead:
    """A system account before its first fold."""
    return SystemHead(account_id, system_currency(account_id))


def plan_page(head: SystemHead, entries: Iterable[InboxEntry], now: str) -> Page:
    """The next page of a system account."""
    ordered = sorted(entries, key=lambda entry: (entry.at, entry.transfer_id, entry.step))
    return Page(
        account_id=head.account_id,
        page=head.fold + 1,
        at=max(now, head.line_at),
        opening_version=head.version,
        opening_posted=head.posted,
        version=head.version + len(ordered),
        posted=head.posted + sum(entry.change for entry in ordered),
        lines=tuple(
            PageLine(entry.transfer_id, entry.step, entry.change, entry.at, entry.shard) for entry in ordered
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Booker:
    """Makes the legs of one step."""

    transfer_id: str
    step: str
    currency: str
    at: str
    description: str
    heads: Mapping[str, Head]

    def leg(self, account_id: str, posted: int, held: int = 0) -> Leg:
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


def _spend_refusal(
    account_id: str, amount: int, currency: str, heads: Mapping[str, Head]
) -> tuple[Outcome, str] | None:  # fmt: skip
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


def _receive_refusal(account_id: str, currency: str, heads: Mapping[str, Head]) -> tuple[Outcome, str] | None:
    if is_system(account_id):
        return None if system_currency(account_id) == currency else ("failed", "currency_mismatch")
    head = heads.get(account_id)
    if head is None or head.status == "closed":
        return "failed", "payee_not_found"
    if head.currency != currency:
        return "failed", "currency_mismatch"
    return None


def _paid(request: Settle, hold: Hold) -> int:
    return hold.amount if request.amount is None else request.amount


def _time(now: str, heads: Iterable[Head]) -> str:
    """The time of a step's lines: never before a line that its accounts have already."""
    return max([now, *(head.line_at for head in heads)])


def _check_amount(amount: int) -> None:
    if type(amount) is not int or not 0 < amount <= MAX_AMOUNT:
        raise ValueError("an amount is a positive integer")


def _check_parties(source: str, destination: str) -> None:
    if source == destination:
        raise ValueError("source and destination are one account")
