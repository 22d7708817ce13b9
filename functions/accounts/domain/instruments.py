"""Cards and bank accounts that users link. Of a number, only the last four characters and a keyed digest are stored."""

from dataclasses import dataclass, field
from datetime import datetime

# Ranges of issuer identification numbers: brand, lowest and highest prefix. The narrower of two ranges is first.
_BRANDS = (
    ("discover", "622126", "622925"),
    ("mastercard", "2221", "2720"),
    ("discover", "6011", "6011"),
    ("jcb", "3528", "3589"),
    ("discover", "644", "649"),
    ("diners", "300", "305"),
    ("diners", "309", "309"),
    ("mastercard", "51", "55"),
    ("amex", "34", "34"),
    ("amex", "37", "37"),
    ("diners", "36", "36"),
    ("diners", "38", "39"),
    ("unionpay", "62", "62"),
    ("discover", "65", "65"),
    ("maestro", "50", "50"),
    ("maestro", "56", "58"),
    ("maestro", "63", "63"),
    ("maestro", "67", "67"),
    ("visa", "4", "4"),
)
_BRAND_NAMES = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "maestro": "Maestro",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}


@dataclass(frozen=True, slots=True)
class NewCard:
    """A request to link a card. The number is never stored."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int
    holder_name: str


@dataclass(frozen=True, slots=True)
class NewBankAccount:
    """A request to link a bank account. The IBAN is never stored."""

    bank_id: str
    iban: str = field(repr=False)
    holder_name: str


@dataclass(frozen=True, slots=True)
class Card:
    """A linked card."""

    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    holder_name: str
    created_at: str

    @classmethod
    def new(cls, id: str, wanted: NewCard, at: str) -> "Card":
        """Return a card linked at `at`."""
        number = wanted.number
        return cls(id, brand_of(number), number[-4:], wanted.exp_month, wanted.exp_year, wanted.holder_name, at)

    @property
    def display_name(self) -> str:
        """The name by which its owner knows the card: `Visa 4242`."""
        return f"{_BRAND_NAMES.get(self.brand, 'Card')} {self.last4}"


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A linked bank account."""

    id: str
    bank_id: str
    iban_last4: str
    holder_name: str
    created_at: str

    @classmethod
    def new(cls, id: str, wanted: NewBankAccount, at: str) -> "BankAccount":
        """Return a bank account linked at `at`."""
        return cls(id, wanted.bank_id, wanted.iban[-4:], wanted.holder_name, at)


Instrument = Card | BankAccount
Kind = type[Card] | type[BankAccount]


def is_card_number(number: str) -> bool:
    """Return whether `number` has 13 to 19 digits and a correct check digit (ISO/IEC 7812, Luhn)."""
    from stdnum import luhn

    return 13 <= len(number) <= 19 and number.isascii() and number.isdigit() and luhn.is_valid(number)


def brand_of(number: str) -> str:
    """Return the brand of a card number, `unknown` if no range matches."""
    for brand, low, high in _BRANDS:
        if low <= number[: len(low)] <= high:
            return brand
    return "unknown"


def has_expired(exp_month: int, exp_year: int, now: datetime) -> bool:
    """Return whether the last month of a card is over, in UTC."""
    return (exp_year, exp_month) < (now.year, now.month)


def canonical_iban(text: str) -> str | None:
    """Return an IBAN without spaces and in capitals, None if check digits, country or length are wrong (ISO 13616)."""
    from stdnum import iban

    number = text.replace(" ", "").upper()
    # National check digits within the number are left to the bank.
    good = number.isascii() and number.isalnum() and iban.is_valid(number, check_country=False)
    return number if good else None
