"""Holds: money set aside for a transfer, resolved once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from common.tasks import HoldOutcome, Reserve, Settle

from functions.accounts.domain.ledger import (
    Booker,
    Head,
    Leg,
    check_amount,
    check_parties,
    is_system,
    line_time,
    receive_refusal,
    spend_refusal,
)

HoldStatus = Literal["open", "settled", "released", "declined"]


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


def check_reserve(request: Reserve) -> None:
    """Refuses what no caller may ask for. Raises ValueError."""
    check_amount(request.amount)
    if is_system(request.account_id):
        raise ValueError("a system account holds nothing")


def plan_reserve(request: Reserve, heads: Mapping[str, Head], now: str) -> HoldChange:
    """An open hold, or a declined one that holds nothing."""
    hold = Hold(
        request.transfer_id, request.account_id, request.amount, request.currency, "open", now, request.description
    )  # fmt: skip
    refusal = spend_refusal(request.account_id, request.amount, request.currency, heads)
    if refusal:
        return HoldChange(replace(hold, status="declined", code=refusal[1]))
    at = line_time(now, heads.values())
    booker = Booker(request.transfer_id, "reserve", request.currency, at, request.description, heads)
    return HoldChange(replace(hold, at=at), (booker.leg(request.account_id, 0, request.amount),))


def check_settle(request: Settle, hold: Hold) -> None:
    """Refuses what no caller may ask of an open hold. Raises ValueError."""
    check_amount(_paid(request, hold))
    if _paid(request, hold) > hold.amount:
        raise ValueError("a hold pays no more than it holds")
    check_parties(hold.account_id, request.destination_account_id)


def plan_settle(request: Settle, hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange | str:
    """An open hold settled, or the code of why its destination can't be paid.

    That the payer's account was frozen since stops nothing: the money was promised while it was active.
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
    legs = (booker.leg(hold.account_id, -amount, -hold.amount), booker.leg(request.destination_account_id, amount))
    return HoldChange(settled, legs)


def plan_release(hold: Hold, heads: Mapping[str, Head], now: str) -> HoldChange:
    """An open hold given back."""
    at = line_time(now, heads.values())
    booker = Booker(hold.transfer_id, "release", hold.currency, at, hold.description, heads)
    released = replace(hold, status="released", resolved_at=at)
    return HoldChange(released, (booker.leg(hold.account_id, 0, -hold.amount),))


def plan_early_release(transfer_id: str, now: str) -> HoldChange:
    """The hold of a transfer that was released before it was made: one that comes late finds it and holds nothing."""
    return HoldChange(Hold(transfer_id, "", 0, "", "released", now, resolved_at=now))


def _paid(request: Settle, hold: Hold) -> int:
    return hold.amount if request.amount is None else request.amount
