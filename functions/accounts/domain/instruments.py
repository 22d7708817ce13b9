"""Cards and bank accounts that users link. Of a number, only the last four characters and keyed digests are stored."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

MAX_LINKED = 10
"""How many cards, and how many bank accounts, a user may have."""
MAX_REFUSALS_PER_HOUR = 5
"""How many refused cards a user may send in an hour."""
# How people group the digits of numbers: spaces, also those that do not break, and hyphens.
_IGNORED = str.maketrans("", "", " \u00a0\u2007\u202f-\u2010\u2011")
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
# How many digits the numbers of a brand have (ISO/IEC 7812, and the brands' own rules).
_LENGTHS: dict[str, Collection[int]] = {
    "amex": (15,),
    "diners": range(14, 20),
    "discover": range(16, 20),
    "jcb": range(16, 20),
    "maestro": range(13, 20),
    "mastercard": (16,),
    "unionpay": range(16, 20),
    "visa": (13, 16, 19),
}
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
    """A request to link a card. Number and cvv are never stored."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int
    holder_name: str
    cvv: str = field(repr=False)


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


def canonical_card_number(text: str) -> str | None:
    """Return a card number without spaces and hyphens.

    None if its check digit is wrong (ISO/IEC 7812, Luhn), or if no brand has numbers of this prefix and length.
    """
    from stdnum import luhn

    number = text.translate(_IGNORED)
    good = number.isascii() and number.isdigit() and len(number) in _LENGTHS.get(brand_of(number), ())
    return number if good and luhn.is_valid(number) else None


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
    """Return an IBAN without spaces and hyphens, and in capitals.

    None if its check digits, country or length are wrong (ISO 13616). Check digits are 02 to 98: the other three that
    leave the right remainder are never given out.
    """
    from stdnum import iban

    compact = text.translate(_IGNORED)
    # Checked before upper(), which turns a few letters of other scripts into ASCII.
    if not (compact.isascii() and compact.isalnum() and compact[2:4].isdigit() and "02" <= compact[2:4] <= "98"):
        return None
    number = compact.upper()
    # National check digits within the number are left to the bank.
    return number if iban.is_valid(number, check_country=False) else None
