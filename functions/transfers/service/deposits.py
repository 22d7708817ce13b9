"""Deposits over a rail."""

from collections.abc import Callable

from common.contracts.accounts import ApproveDeposit, TransferApproval
from common.idempotency import KeyedAnswer

from functions.transfers.domain.deposits import MakeDeposit
from functions.transfers.service.intents import Intents


class Deposits:
    """Deposits from a user's cards and bank accounts."""

    def __init__(self, intents: Intents, approve: Callable[[ApproveDeposit], TransferApproval]) -> None:
        self._intents = intents
        self._approve = approve

    def make(self, command: MakeDeposit) -> KeyedAnswer:
        """Record a deposit and start its saga. It completes when the rail confirms. Raises Refusal."""
        request = ApproveDeposit(
            caller_id=command.origin.caller_id,
            account_id=command.account_id,
            amount=command.amount,
            currency=command.currency,
            card_id=command.card_id,
            bank_account_id=command.bank_account_id,
        )
        return self._intents.submit(command, lambda: self._approve(request))
