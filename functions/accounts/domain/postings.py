"""Postings: money moves from one account to another in one step of a transfer, or the step is refused.

An account may be made to expect a posting: it stays open until the step has an outcome.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from common.contracts.accounts import Expect, ExpectOutcome, Post, PostOutcome, Refuse

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

_OTHER_STEPS = frozenset({"expect", "hold", "reserve", "settle", "release", "lapse", "credit_limit"})


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
    """A step outcome and what is written with it: two legs, or, if it is a refusal, a notice or nothing.

    `expecting_account_id` is the account that was made to expect the money, and no longer does.
    """

    result: StepOutcome
    legs: tuple[Leg, ...] = ()
    notice: LimitNotice | None = None
    expecting_account_id: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """Whether an account was made to expect the money of a transfer; it never changes."""

    transfer_id: str
    account_id: str
    amount: int
    currency: str
    outcome: Literal["expected", "refused"]
    code: str
    at: str

    @property
    def reply(self) -> ExpectOutcome:
        """The expectation as the caller of the step gets it."""
        return ExpectOutcome(self.outcome, self.code)

    def refused(self, code: str) -> "Expectation":
        """Return this expectation as refused."""
        return replace(self, outcome="refused", code=code)


def check_post(request: Post) -> None:
    """Raise ValueError if no caller may make this request."""
    check_amount(request.amount)
    check_parties(request.source_account_id, request.destination_account_id)
    check_step(request.step)


def check_expect(request: Expect) -> None:
    """Raise ValueError if no caller may make this request."""
    check_amount(request.amount)
    if is_system(request.account_id):
        raise ValueError("a system account is never closed")


def check_step(step: str) -> None:
    """Raise ValueError if a posting can't have this step: expectations, holds and credit limits use these names."""
    if not step or step in _OTHER_STEPS:
        raise ValueError(f"not a posting's step: {step!r}")


def plan_post(request: Post, heads: Mapping[str, Head], now: str) -> Posting:
    """Return the posting of a request, or its refusal. `heads` are those parties that are not system accounts."""
    source, destination = request.source_account_id, request.destination_account_id
    expecting = destination if request.is_expected and destination in heads else ""
    at = line_time(now, heads.values())
    refusal = (
        spend_refusal(source, request.amount, request.currency, heads, at)
        or receive_refusal(destination, request.currency, heads)
    )  # fmt: skip
    if refusal:
        outcome, code = refusal
        refused = StepOutcome(request.transfer_id, request.step, outcome, code, now, request.currency)
        notice = limit_notice(code, source, request.amount, heads, at)
        return Posting(refused, notice=notice, expecting_account_id=expecting)
    maker = LegMaker(request.transfer_id, request.step, request.currency, at, request.description, heads)
    legs = (maker.leg(source, -request.amount), maker.leg(destination, request.amount))
    changes = tuple((leg.account_id, leg.change) for leg in legs)
    posted = StepOutcome(request.transfer_id, request.step, "posted", "", at, request.currency, changes)
    return Posting(posted, legs, expecting_account_id=expecting)


def plan_refuse(request: Refuse, now: str) -> Posting:
    """Return the refusal of a step. It needs no accounts."""
    refused = StepOutcome(request.transfer_id, request.step, request.outcome, request.code, now)
    return Posting(refused, expecting_account_id=request.expecting_account_id)


def plan_expect(request: Expect, heads: Mapping[str, Head], now: str) -> Expectation:
    """Return the expectation of a request, which is refused if the account can't be paid."""
    _, code = receive_refusal(request.account_id, request.currency, heads) or ("", "")
    return Expectation(
        request.transfer_id,
        request.account_id,
        request.amount,
        request.currency,
        "refused" if code else "expected",
        code,
        now,
    )
