"""Deposits: money from a card or bank account, and what a rail answers about it."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from common.contracts.transfers import RailOperation

from functions.transfers.domain.intents import Intent
from functions.transfers.domain.lifecycle import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDeposit(Intent):
    """Bring money into an account. Exactly one of `card_id` and `bank_account_id` is set."""

    kind: ClassVar[Kind] = "deposit"
    account_id: str
    card_id: str | None = None
    bank_account_id: str | None = None


@dataclass(frozen=True, slots=True)
class RailAnswer:
    """What a rail answered about a transfer. `code` says why it declined."""

    transfer_id: str
    operation: RailOperation
    outcome: Literal["confirmed", "declined"]
    code: str = ""
