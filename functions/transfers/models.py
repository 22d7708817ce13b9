"""What clients send to the transfers room."""

import re
from typing import Annotated, Any, Literal

from common import ids
from common.events import Actor
from common.http.app import Request
from common.http.fields import (
    AccountId,
    Amount,
    BankAccountId,
    Body,
    CardId,
    Currency,
    Description,
    Email,
    ListQuery,
    Metadata,
    Phone,
    Pin,
    Timestamp,
    UserId,
)
from common.money import MAX_AMOUNT
from common.tasks import AuthorizeDeposit, AuthorizeTransfer, Destination
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from functions.transfers.domain import Filter, Origin


class _OneOf(Body):
    """An object of which exactly one field is given."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "_OneOf":
        names = type(self).model_fields
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"must have exactly one of {', '.join(names)}")
        return self


class DestinationFields(_OneOf):
    """Whom a transfer goes to."""

    account_id: AccountId | None = None
    email: Email | None = None
    phone: Phone | None = None
    user_id: UserId | None = None


class DepositSource(_OneOf):
    """What a deposit is taken from."""

    card_id: CardId | None = None
    bank_account_id: BankAccountId | None = None


class SendMoney(Body):
    """The body of POST /transfers."""

    source_account_id: AccountId | None = None
    destination: DestinationFields
    amount: Amount
    currency: Currency
    description: Description | None = None
    metadata: Metadata | None = None
    pin: Pin | None = None

    def authorization(self, caller_id: str, actor: Actor) -> AuthorizeTransfer:
        """What the accounts room has to agree to."""
        destination = Destination(**self.destination.model_dump())
        return AuthorizeTransfer(
            caller_id, self.source_account_id, destination, self.amount, self.currency, self.pin, actor
        )


class MakeDeposit(Body):
    """The body of POST /deposits."""

    account_id: AccountId
    amount: Amount
    currency: Currency
    source: DepositSource
    description: Description | None = None

    def authorization(self, caller_id: str) -> AuthorizeDeposit:
        """What the accounts room has to agree to."""
        source = self.source
        return AuthorizeDeposit(
            caller_id, self.account_id, self.amount, self.currency, source.card_id, source.bank_account_id
        )


def _counterparty(text: str) -> str:
    if ids.is_id(text, "usr") or re.fullmatch(r"\+[1-9][0-9]{6,14}", text):
        return text
    if "@" in text:
        return text.strip().lower()
    raise ValueError("must be a user id, an email address or a phone number")


def _whole_number(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value) is None:
        raise ValueError("must be a whole number of minor units")
    return value


_Limit = Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=MAX_AMOUNT)]


class TransferQuery(ListQuery):
    """The query of GET /transfers."""

    account_id: AccountId | None = None
    kind: (
        Literal[
            "transfer",
            "deposit",
            "withdrawal",
            "payment",
            "refund",
            "payout",
            "escrow_funding",
            "escrow_release",
            "escrow_refund",
        ]
        | None
    ) = None
    status: (
        Literal[
            "pending",
            "under_review",
            "authorized",
            "completed",
            "declined",
            "failed",
            "cancelled",
            "voided",
        ]
        | None
    ) = None
    from_: Annotated[Timestamp | None, Field(alias="from")] = None
    to: Timestamp | None = None
    counterparty: Annotated[str, StringConstraints(max_length=512), AfterValidator(_counterparty)] | None = None
    min_amount: _Limit | None = None
    max_amount: _Limit | None = None
    idempotency_key: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,255}$")] | None = None

    def filter(self) -> Filter:
        """What the list is narrowed to, but for the idempotency key."""
        return Filter(**self.model_dump(exclude={"limit", "cursor", "idempotency_key"}))


def origin_of(request: Request[Any, Any]) -> Origin:
    """Where an intent comes from."""
    assert request.idempotency is not None
    return Origin(
        caller_id=request.principal.user_id,
        actor=request.actor,
        idempotency=request.idempotency,
        trace_id=request.request_id,
        instance=request.path,
    )
