"""What clients send to make a transfer."""

from common.contracts.accounts import Destination
from common.http.fields import AccountId, Amount, Body, Currency, Description, Email, Metadata, Phone, Pin, UserId

from functions.transfers.domain.intents import RequestOrigin
from functions.transfers.domain.transfers import SendTransfer
from functions.transfers.models.intents import OneOf


class DestinationFields(OneOf):
    """The recipient of a transfer."""

    account_id: AccountId | None = None
    email: Email | None = None
    phone: Phone | None = None
    user_id: UserId | None = None


class SendMoney(Body):
    """The body of POST /transfers."""

    source_account_id: AccountId | None = None
    destination: DestinationFields
    amount: Amount
    currency: Currency
    description: Description | None = None
    metadata: Metadata | None = None
    pin: Pin | None = None

    def command(self, origin: RequestOrigin) -> SendTransfer:
        """Return the command that the body stands for."""
        return SendTransfer(
            origin=origin,
            source_account_id=self.source_account_id,
            destination=Destination(**self.destination.model_dump()),
            amount=self.amount,
            currency=self.currency,
            description=self.description or "",
            metadata=self.metadata or {},
            pin=self.pin,
        )
