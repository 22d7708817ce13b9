"""Domain objects from items."""

from common.dynamo import Item

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.domain.payees import Payee
from functions.accounts.store.heads import fields_of


def account_of(head: Item) -> Account:
    """Return the account of a head."""
    return Account(id=head["account_id"], **fields_of(Account, head))


def card_of(item: Item) -> Card:
    """Return the card of an item."""
    return Card(**fields_of(Card, item))


def bank_account_of(item: Item) -> BankAccount:
    """Return the bank account of an item."""
    return BankAccount(**fields_of(BankAccount, item))


def payee_of(item: Item) -> Payee:
    """Return the payee of an entry."""
    return Payee(**fields_of(Payee, item))
