"""Banks, cards and bank accounts as requests and responses. No response has a whole number."""

import re
from dataclasses import asdict
from typing import Annotated

from common.http.fields import Body, Name, Resource
from common.idempotency import Answer, render
from pydantic import AfterValidator, Field, StringConstraints

from functions.accounts.domain.banks import BANKS, Bank
from functions.accounts.domain.instruments import (
    BankAccount,
    Card,
    Instrument,
    NewBankAccount,
    NewCard,
    canonical_card_number,
    canonical_iban,
)


def _card_number(text: str) -> str:
    number = canonical_card_number(text)
    if number is None:
        raise ValueError("must be the number on the card: 13 to 19 digits, without a mistake")
    return number


def _cvv(text: str) -> str:
    if re.fullmatch("[0-9]{3,4}", text) is None:
        raise ValueError("must be the three or four digits of the card's security code")
    return text


def _iban(text: str) -> str:
    iban = canonical_iban(text)
    if iban is None:
        raise ValueError("must be an IBAN, such as DE89 3704 0044 0532 0130 00")
    return iban


def _bank_id(bank_id: str) -> str:
    if bank_id not in BANKS:
        raise ValueError("must be the id of a bank in GET /v1/banks")
    return bank_id


class LinkCard(Body):
    """The body of POST /cards."""

    number: Annotated[str, StringConstraints(max_length=64), AfterValidator(_card_number)] = Field(repr=False)
    holder_name: Name
    exp_month: int = Field(ge=1, le=12)
    exp_year: int = Field(ge=2000, le=2099)
    cvv: Annotated[str, AfterValidator(_cvv)] = Field(repr=False)

    def command(self) -> NewCard:
        """Return the card to link."""
        return NewCard(self.number, self.exp_month, self.exp_year, self.holder_name, self.cvv)


class LinkBankAccount(Body):
    """The body of POST /bank-accounts."""

    bank_id: Annotated[str, AfterValidator(_bank_id)]
    iban: Annotated[str, StringConstraints(max_length=64), AfterValidator(_iban)] = Field(repr=False)
    holder_name: Name

    def command(self) -> NewBankAccount:
        """Return the bank account to link."""
        return NewBankAccount(self.bank_id, self.iban, self.holder_name)


class CardResource(Resource):
    """A card."""

    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    holder_name: str

    @classmethod
    def of(cls, card: Card) -> "CardResource":
        """Return a card as its owner sees it."""
        return cls(**asdict(card))


class BankResource(Resource):
    """A bank of the catalog."""

    id: str
    name: str
    country: str
    logo_url: str

    @classmethod
    def of(cls, bank: Bank) -> "BankResource":
        """Return a bank as clients see it."""
        return cls(**bank._asdict(), logo_url=bank.logo_url)


class BankAccountResource(Resource):
    """A bank account."""

    id: str
    bank: BankResource
    iban_last4: str
    holder_name: str

    @classmethod
    def of(cls, account: BankAccount) -> "BankAccountResource":
        """Return a bank account as its owner sees it."""
        return cls(**asdict(account), bank=BankResource.of(BANKS[account.bank_id]))


def linked(instrument: Instrument) -> Answer:
    """Return the answer to POST /cards or POST /bank-accounts."""
    if isinstance(instrument, Card):
        return Answer(201, render(CardResource.of(instrument)), location=f"/v1/cards/{instrument.id}")
    body = render(BankAccountResource.of(instrument))
    return Answer(201, body, location=f"/v1/bank-accounts/{instrument.id}")
