"""Banks, cards and bank accounts on the wire. Numbers come in and never go out."""

from typing import Annotated

from common.http.fields import Body, Name, Resource
from pydantic import AfterValidator, Field, StringConstraints

from functions.accounts.domain.banks import BANKS, Bank
from functions.accounts.domain.instruments import BankAccount, Card, canonical_iban, is_card_number


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
    """POST /cards."""

    number: Annotated[str, StringConstraints(max_length=19), AfterValidator(_card_number)] = Field(repr=False)
    holder_name: Name
    exp_month: int = Field(ge=1, le=12)
    exp_year: int = Field(ge=2000, le=2099)
    cvv: Annotated[str, StringConstraints(pattern=r"^[0-9]{3,4}$")] = Field(repr=False)


class LinkBankAccount(Body):
    """POST /bank-accounts."""

    bank_id: Annotated[str, AfterValidator(_bank_id)]
    iban: Annotated[str, StringConstraints(max_length=64), AfterValidator(_iban)] = Field(repr=False)
    holder_name: Name


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
        """The card as its owner sees it."""
        return cls(
            id=card.id,
            brand=card.brand,
            last4=card.last4,
            exp_month=card.exp_month,
            exp_year=card.exp_year,
            holder_name=card.holder_name,
        )


class BankResource(Resource):
    """A bank of the catalogue."""

    id: str
    name: str
    country: str
    logo_url: str

    @classmethod
    def of(cls, bank: Bank) -> "BankResource":
        """The bank as a client sees it."""
        return cls(id=bank.id, name=bank.name, country=bank.country, logo_url=bank.logo_url)


class BankAccountResource(Resource):
    """A bank account."""

    id: str
    bank: BankResource
    iban_last4: str
    holder_name: str

    @classmethod
    def of(cls, account: BankAccount) -> "BankAccountResource":
        """The bank account as its owner sees it."""
        return cls(
            id=account.id,
            bank=BankResource.of(BANKS[account.bank_id]),
            iban_last4=account.iban_last4,
            holder_name=account.holder_name,
        )
