"""Holds: money set aside for a transfer, resolved once: settled, released, or lapsed at its own time."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from common.clock import parse, timestamp
from common.tasks import HoldOutcome, Reserve, Settle

from functions.accounts.domain.ledger import (
    Booker,
    Head,
    Leg,
    LimitNotice,
    check_amount,
    check_parties,
    is_system,
    limit_notice,
    line_time,
    receive_refusal,
    spend_refusal,
)

LAPSE_SHARDS = 8

HoldStatus = Literal["open", "settled", "released", "lapsed", "declined"]


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for a transfer, and what became of it. A declined one, and one released early, hold nothing.

    `at` is when it was counted as spent; an open one lapses at `lapse_at`, empty for never.
    """

    transfer_id: str
    account_id: str
    amount: int
    currency: str
    status: HoldStatus
    at: str
    description: str = ""
    lapse_at: str = ""
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
            case "released" | "lapsed":
                return HoldOutcome(self.status, at=self.resolved_at, amount=self.amount)
            case _:
                return HoldOutcome("declined", self.code, self.at)

    @property
    def lapse_shard(self) -> str:
        """The shard of the index in which an open one waits for its time."""
        return f"{zlib.crc32(self.transfer_id.encode()) % LAPSE_SHARDS:02}"

    def is_past(self, now: str) -> bool:
        """Whether its time is over, so that nothing else can become of it. An open hold's time never changes."""
        return bool(self.lapse_at) and self.lapse_at <= now


@dataclass(frozen=True, slots=True)
class HoldChange:
    """A hold as it shall be, and what is written with it: its legs, or, with a declined one, at most a notice."""

    hold: Hold
    legs: tuple[Leg, ...] = ()
    notice: LimitNotice | None = None


def check_reserve(request: Reserve) -> None:
    """Refuses what no caller may ask for. Raises ValueError."""
    check_amount(request.amount)
    if is_system(request.account_id):
        raise ValueError("a system account holds nothing")
    if request.lapses_at and timestamp(parse(request.lapses_at)) != request.lapses_at:
        raise ValueError("a time is in UTC, with milliseconds")


def plan_reserve(request: Reserve, heads: Mapping[str, Head], now: str) -> HoldChange:
    """An open hold, or a declined one that holds nothing."""
    at = line_time(now, heads.values())
    hold = Hold(
        transfer_id=request.transfer_id,
        account_id=request.account_id,
        amount=request.amount,
        currency=request.currency,
        status="open",
        at=at,
        description=request.description,
        lapse_at=request.lapses_at,
    )
    refusal = spend_refusal(request.account_id, request.amount, request.currency, heads, at)
    if refusal:
        declined = replace(hold, status="declined", code=refusal[1], at=now)
        return HoldChange(declined, notice=limit_notice(refusal[1], request.account_id, request.amount, heads, at))
    booker = Booker(request.transfer_id, "reserve", request.currency, at, request.description, heads)
    return HoldChange(hold, (booker.leg(request.account_id, 0, request.amount),))


def check_settle(request: Settle, hold: Hold) -> None:
    """Refuses what no caller may ask of an open hold. Raises ValueError."""
    check_amount(_paid(request, hold))
    if _paid(request, hold) > hold.amount:
        raise ValueError("a hold pays no more than it holds")
    check_parties(hold.account_id, request.destination_account_id)


def plan_settle(request: Settle, hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange | str:
    """An open hold settled, or the code of why its destination can't be paid.

    That the payer's account was frozen since, or its limits lowered, stops nothing: the money was promised before.
    """
    amount = _paid(request, hold)
    refusal = receive_refusal(request.destination_account_id, hold.currency, heads)
    if refusal:
        return refusal[1]
    at = line_time(now, heads.values())
    booker = Booker(hold.transfer_id, "settle", hold.currency, at, hold.description, heads)
    settled = replace(
        hold,
        status="settled",
        settled_amount=amount,
        destination_account_id=request.destination_account_id,
        resolved_at=at,
    )
    legs = (
        booker.leg(hold.account_id, -amount, -hold.amount, counted_at=hold.at),
        booker.leg(request.destination_account_id, amount),
    )
    return HoldChange(settled, legs)


def plan_release(hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange:
    """An open hold given back, because somebody asks or because its time is over."""
    lapsed = hold.is_past(now)
    at = line_time(now, heads.values())
    step = "lapse" if lapsed else "release"
    booker = Booker(hold.transfer_id, step, hold.currency, at, hold.description, heads)
    resolved = replace(hold, status="lapsed" if lapsed else "released", resolved_at=at)
    return HoldChange(resolved, (booker.leg(hold.account_id, 0, -hold.amount, counted_at=hold.at),))


def plan_early_release(transfer_id: str, now: str) -> HoldChange:
    """The hold of a transfer that was released before it was made: one that comes late finds it and holds nothing."""
    return HoldChange(Hold(transfer_id, "", 0, "", "released", now, resolved_at=now))


def _paid(request: Settle, hold: Hold) -> int:
    return hold.amount if request.amount is None else request.amount
