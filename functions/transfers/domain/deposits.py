"""Deposits: money from a card or bank account."""

from dataclasses import dataclass
from typing import ClassVar

from functions.transfers.domain.intents import Intent
from functions.transfers.domain.lifecycle import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDeposit(Intent):
    """Bring money into an account. Exactly one of `card_id` and `bank_account_id` is set."""

    kind: ClassVar[Kind] = "deposit"
    account_id: str
    card_id: str | None = None
    bank_account_id: str | None = None
