"""Items as the rest of the room knows them."""

from common.dynamo import Item

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.domain.payees import Payee


def account_of(head: Item) -> Account:
    """The account that a head describes."""
    return Account(
        id=head["account_id"],
        owner_id=head["owner_id"],
        name=head["name"],
        type=head["type"],
        currency=head["currency"],
        status=head["status"],
        posted=head["posted"],
        held=head["held"],
        available=head["available"],
        credit_limit=head["credit_limit"],
        created_at=head["created_at"],
    )


def card_of(item: Item) -> Card:
    """The card that an item describes."""
    return Card(
        id=item["id"],
        brand=item["brand"],
        last4=item["last4"],
        exp_month=item["exp_month"],
        exp_year=item["exp_year"],
        holder_name=item["holder_name"],
        created_at=item["created_at"],
    )


def bank_account_of(item: Item) -> BankAccount:
    """The bank account that an item describes."""
    return BankAccount(
        id=item["id"],
        bank_id=item["bank_id"],
        iban_last4=item["iban_last4"],
        holder_name=item["holder_name"],
        created_at=item["created_at"],
    )


def payee_of(item: Item) -> Payee:
    """The payee that an entry describes."""
    return Payee(
        user_id=item["user_id"],
        sequence=item["sequence"],
        status=item["status"],
        first_name=item["first_name"],
        last_name=item["last_name"],
        email=item["email"],
        phone=item["phone"],
        at=item["at"],
    )
