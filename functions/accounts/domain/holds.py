"""Holds: money set aside for a transfer. A hold is resolved once: settled, released, or lapsed at its time."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from common.clock import parse, timestamp
from common.contracts.accounts import HoldOutcome, Reserve, Settle

from functions.accounts.domain.ledger import (
    Head,
    Leg,
    LegMaker,
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
    """Money set aside for a transfer, and how it was resolved. A declined or early released hold holds nothing.

    `at` is the time at which the money was counted as spent. An open hold lapses at `lapse_at`, never if it is empty.
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
    def reply(self) -> HoldOutcome:
        """The state of the hold as a caller gets it."""
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
        """The shard of the index in which an open hold is found when its time has come."""
        return f"{zlib.crc32(self.transfer_id.encode()) % LAPSE_SHARDS:02}"

    def is_past(self, now: str) -> bool:
        """Whether the hold can only lapse any more. The time of an open hold never changes."""
        return bool(self.lapse_at) and self.lapse_at <= now


@dataclass(frozen=True, slots=True)
class HoldChange:
    """A hold as it is to be written, and what is written with it: legs, or, if it is declined, a notice or nothing."""

    hold: Hold
    legs: tuple[Leg, ...] = ()
    notice: LimitNotice | None = None


def check_reserve(request: Reserve) -> None:
    """Raise ValueError if no caller may make this request."""
    check_amount(request.amount)
    if is_system(request.account_id):
        raise ValueError("a system account can't have holds")
    if request.lapses_at and timestamp(parse(request.lapses_at)) != request.lapses_at:
        raise ValueError("lapses_at must be in UTC, with milliseconds")


def plan_reserve(request: Reserve, heads: Mapping[str, Head], now: str) -> HoldChange:
    """Return an open hold, or a declined one, which holds nothing."""
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
    maker = LegMaker(request.transfer_id, "reserve", request.currency, at, request.description, heads)
    return HoldChange(hold, (maker.leg(request.account_id, 0, request.amount),))


def check_settle(request: Settle, hold: Hold) -> None:
    """Raise ValueError if no caller may settle this open hold in this way."""
    check_amount(_paid(request, hold))
    if _paid(request, hold) > hold.amount:
        raise ValueError("a hold can't pay more than it holds")
    check_parties(hold.account_id, request.destination_account_id)


def plan_settle(request: Settle, hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange | str:
    """Return an open hold as settled, or the code if its destination can't be paid.

    The payer's status and limits are not checked again: the money was promised when the hold was made.
    """
    amount = _paid(request, hold)
    refusal = receive_refusal(request.destination_account_id, hold.currency, heads)
    if refusal:
        return refusal[1]
    at = line_time(now, heads.values())
    maker = LegMaker(hold.transfer_id, "settle", hold.currency, at, hold.description, heads)
    settled = replace(
        hold,
        status="settled",
        settled_amount=amount,
        destination_account_id=request.destination_account_id,
        resolved_at=at,
    )
    legs = (
        maker.leg(hold.account_id, -amount, -hold.amount, counted_at=hold.at),
        maker.leg(request.destination_account_id, amount),
    )
    return HoldChange(settled, legs)


def plan_release(hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange:
    """Return an open hold as released, or as lapsed if its time has come."""
    lapsed = hold.is_past(now)
    at = line_time(now, heads.values())
    step = "lapse" if lapsed else "release"
    maker = LegMaker(hold.transfer_id, step, hold.currency, at, hold.description, heads)
    resolved = replace(hold, status="lapsed" if lapsed else "released", resolved_at=at)
    return HoldChange(resolved, (maker.leg(hold.account_id, 0, -hold.amount, counted_at=hold.at),))


def plan_early_release(transfer_id: str, now: str) -> HoldChange:
    """Return the hold of a transfer that is released before it was made. A later reserve finds it and holds nothing."""
    return HoldChange(Hold(transfer_id, "", 0, "", "released", now, resolved_at=now))


def _paid(request: Settle, hold: Hold) -> int:
    return hold.amount if request.amount is None else request.amount
