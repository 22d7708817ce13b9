"""What clients send to list their transfers."""

import re
from typing import Annotated, Literal

from common import ids
from common.http.fields import AccountId, ListQuery, Timestamp
from common.money import MAX_AMOUNT
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from functions.transfers.domain.history import TransferFilter


def _counterparty(text: str) -> str:
    if ids.is_id(text, "usr") or ids.is_id(text, "acc") or re.fullmatch(r"\+[1-9][0-9]{6,14}", text):
        return text
    if "@" in text:
        return text.strip().lower()
    raise ValueError("must be a user id, an account id, an email address or a phone number")


def _whole_number(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,16}", value) is None:
        raise ValueError("must be a whole number of minor units")
    return value


# All kinds and statuses of the contract, so that a client can filter for those that no transfer has yet.
_Kind = Literal[
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
_Status = Literal["pending", "under_review", "authorized", "completed", "declined", "failed", "cancelled", "voided"]
_Limit = Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=MAX_AMOUNT)]


class TransferQuery(ListQuery):
    """The query of GET /transfers."""

    account_id: AccountId | None = None
    kind: _Kind | None = None
    status: _Status | None = None
    from_: Annotated[Timestamp | None, Field(alias="from")] = None
    to: Timestamp | None = None
    counterparty: Annotated[str, StringConstraints(max_length=512), AfterValidator(_counterparty)] | None = None
    min_amount: _Limit | None = None
    max_amount: _Limit | None = None
    idempotency_key: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,255}$")] | None = None

    def filter(self) -> TransferFilter:
        """Return the conditions of the list, without the idempotency key."""
        return TransferFilter(**self.model_dump(exclude={"limit", "cursor", "idempotency_key"}))
