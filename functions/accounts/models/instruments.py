"""Banks, cards and bank accounts as requests and responses. No response has a whole number."""

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
    canonical_iban,
    is_card_number,
)


def _card_number(number: str) -> str:
    if not is_card_number(number):
        raise ValueError("must be a card number of 13 to 19 digits")
    return number


def _iban(text: str) -> str:
    iban = canonical_iban(text)
    if iban is None:
        raise ValueError("must be an IBAN")
    return iban


def _bank_id(bank_id: str) -> str:
    if bank_id not in BANKS:
        raise ValueError("must be the id of a bank in GET /v1/banks")
    return bank_id


class LinkCard(Body):
    """The body of POST /cards."""

    number: Annotated[str, StringConstraints(max_length=19), AfterValidator(_card_number)] = Field(repr=False)
    holder_name: Name
    exp_month: int = Field(ge=1, le=12)
    exp_year: int = Field(ge=2000, le=2099)
    cvv: Annotated[str, StringConstraints(pattern=r"^[0-9]{3,4}$")] = Field(repr=False)

    def command(self) -> NewCard:
        """Return the card to link, without the cvv."""
        return NewCard(self.number, self.exp_month, self.exp_year, self.holder_name)


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
