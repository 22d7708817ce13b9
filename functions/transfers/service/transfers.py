"""Sending money from one account to another."""

from collections.abc import Callable

from common.contracts.accounts import ApproveTransfer, TransferApproval
from common.idempotency import KeyedAnswer

from functions.transfers.domain.transfers import SendTransfer
from functions.transfers.service.intents import Intents


class Transfers:
    """Transfers between accounts of this ledger."""

    def __init__(self, intents: Intents, approve: Callable[[ApproveTransfer], TransferApproval]) -> None:
        self._intents = intents
        self._approve = approve

    def send(self, command: SendTransfer) -> KeyedAnswer:
        """Send money and return the outcome, or a 202 if it is not known in time. Raises Refusal."""
        request = ApproveTransfer(
            caller_id=command.origin.caller_id,
            source_account_id=command.source_account_id,
            destination=command.destination,
            amount=command.amount,
            currency=command.currency,
            pin=command.pin,
            actor=command.origin.actor,
        )
        return self._intents.submit(command, lambda: self._approve(request))
