"""Items as the rest of the room knows them."""

import json
import zlib

from common.dynamo import Item

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.domain.pages import Page, PageLine
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
        version=head["version"],
        changes=head.get("changes", 0),
        line_at=head["line_at"],
        low_balance_alert=head.get("low_balance_alert"),
        pin_set=head.get("pin_set", False),
        hot=head.get("hot", False),
        hot_until=head.get("hot_until"),
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


def page_of(item: Item) -> Page:
    """The page that an item describes."""
    return Page(
        account_id=item["account_id"],
        currency=item["currency"],
        page=item["page"],
        at=item["at"],
        opening_version=item["opening_version"],
        opening_posted=item["opening_posted"],
        version=item["version"],
        posted=item["posted"],
        held=item["held"],
        credit_limit=item.get("credit_limit", 0),
        lines=tuple(PageLine(**line) for line in json.loads(zlib.decompress(item["lines"]))),
    )
