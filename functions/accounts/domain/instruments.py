"""Cards and bank accounts that users link. Of a number its last four characters and a keyed digest are kept."""

from dataclasses import dataclass
from datetime import datetime

# Issuer identification numbers, longest first where ranges overlap: lowest and highest prefix of a brand.
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
class Card:
    """A linked card."""

    id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    holder_name: str
    created_at: str

    @property
    def display_name(self) -> str:
        """The card as its owner knows it: `Visa 4242`."""
        return f"{_BRAND_NAMES.get(self.brand, 'Card')} {self.last4}"


@dataclass(frozen=True, slots=True)
class BankAccount:
    """A linked bank account."""

    id: str
    bank_id: str
    iban_last4: str
    holder_name: str
    created_at: str


Instrument = Card | BankAccount
Kind = type[Card] | type[BankAccount]


def is_card_number(number: str) -> bool:
    """Whether `number` is 13 to 19 digits whose check digit is right (ISO/IEC 7812, Luhn)."""
    from stdnum import luhn

    return 13 <= len(number) <= 19 and number.isascii() and number.isdigit() and luhn.is_valid(number)


def brand_of(number: str) -> str:
    """The brand of a card by its issuer identification number; `unknown` for any other."""
    for brand, low, high in _BRANDS:
        if low <= number[: len(low)] <= high:
            return brand
    return "unknown"


def has_expired(exp_month: int, exp_year: int, now: datetime) -> bool:
    """Whether the month a card is good through is over, in UTC."""
    return (exp_year, exp_month) < (now.year, now.month)


def canonical_iban(text: str) -> str | None:
    """An IBAN without spaces and in capitals, or None where check digits, country or length are wrong (ISO 13616)."""
    from stdnum import iban

    number = text.replace(" ", "").upper()
    # National check digits within the number are the bank's business.
    good = number.isascii() and number.isalnum() and iban.is_valid(number, check_country=False)
    return number if good else None
