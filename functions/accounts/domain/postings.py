"""Postings: money moves from one account to another in one step of a transfer, or the step is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from common.contracts.accounts import Post, PostOutcome, Refuse

from functions.accounts.domain.ledger import (
    Head,
    Leg,
    LegMaker,
    LimitNotice,
    check_amount,
    check_parties,
    limit_notice,
    line_time,
    receive_refusal,
    spend_refusal,
)

_OTHER_STEPS = frozenset({"hold", "reserve", "settle", "release", "lapse", "credit_limit"})


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step of a transfer did to the ledger; it never changes. `legs` are account ids and their changes."""

    transfer_id: str
    step: str
    outcome: Literal["posted", "declined", "failed"]
    code: str
    at: str
    currency: str = ""
    legs: tuple[tuple[str, int], ...] = ()

    @property
    def reply(self) -> PostOutcome:
        """The step outcome as the caller of the step gets it."""
        return PostOutcome(self.outcome, self.code, self.at)


@dataclass(frozen=True, slots=True)
class Posting:
    """A step outcome and what is written with it: two legs, or, if it is a refusal, a notice or nothing."""

    result: StepOutcome
    legs: tuple[Leg, ...] = ()
    notice: LimitNotice | None = None


def check_post(request: Post) -> None:
    """Raise ValueError if no caller may make this request."""
    check_amount(request.amount)
    check_parties(request.source_account_id, request.destination_account_id)
    check_step(request.step)


def check_step(step: str) -> None:
    """Raise ValueError if a posting can't have this step: holds and credit limits use these names."""
    if not step or step in _OTHER_STEPS:
        raise ValueError(f"not a posting's step: {step!r}")


def plan_post(request: Post, heads: Mapping[str, Head], now: str) -> Posting:
    """Return the posting of a request, or its refusal. `heads` are those parties that are not system accounts."""
    source, destination = request.source_account_id, request.destination_account_id
    at = line_time(now, heads.values())
    refusal = (
        spend_refusal(source, request.amount, request.currency, heads, at)
        or receive_refusal(destination, request.currency, heads)
    )  # fmt: skip
    if refusal:
        outcome, code = refusal
        refused = StepOutcome(request.transfer_id, request.step, outcome, code, now, request.currency)
        return Posting(refused, notice=limit_notice(code, source, request.amount, heads, at))
    maker = LegMaker(request.transfer_id, request.step, request.currency, at, request.description, heads)
    legs = (maker.leg(source, -request.amount), maker.leg(destination, request.amount))
    changes = tuple((leg.account_id, leg.change) for leg in legs)
    return Posting(StepOutcome(request.transfer_id, request.step, "posted", "", at, request.currency, changes), legs)


def plan_refuse(request: Refuse, now: str) -> Posting:
    """Return the refusal of a step. It needs no accounts."""
    return Posting(StepOutcome(request.transfer_id, request.step, request.outcome, request.code, now))
