"""What clients send to make a deposit."""

from common.http.fields import AccountId, Amount, BankAccountId, Body, CardId, Currency, Description

from functions.transfers.domain.deposits import MakeDeposit
from functions.transfers.domain.intents import RequestOrigin
from functions.transfers.models.intents import OneOf


class DepositSource(OneOf):
    """The card or bank account that pays."""

    card_id: CardId | None = None
    bank_account_id: BankAccountId | None = None


class DepositMoney(Body):
    """The body of POST /deposits."""

    account_id: AccountId
    amount: Amount
    currency: Currency
    source: DepositSource
    description: Description | None = None

    def command(self, origin: RequestOrigin) -> MakeDeposit:
        """Return the command that the body stands for."""
        return MakeDeposit(
            origin=origin,
            account_id=self.account_id,
            card_id=self.source.card_id,
            bank_account_id=self.source.bank_account_id,
            amount=self.amount,
            currency=self.currency,
            description=self.description or "",
        )
