"""Money: an integer in a currency's minor unit beside its ISO 4217 code. Nothing here is ever a float."""

from common.iso4217 import CURRENCIES

MAX_AMOUNT = 10**15


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 currency of payment."""
    return code in CURRENCIES


def exponent(currency: str) -> int:
    """The number of minor digits of `currency` (ISO 4217): 2 for USD, 0 for JPY, 3 for BHD.

    Raises KeyError for an unknown code.
    """
    return CURRENCIES[currency][0]


def format_amount(amount: int, currency: str) -> str:
    """`amount` minor units as a person reads them: `format_amount(1050, "USD") == "10.50 USD"`."""
    digits = exponent(currency)
    sign, units = ("-" if amount < 0 else ""), abs(amount)
    if digits == 0:
        return f"{sign}{units:,} {currency}"
    whole, minor = divmod(units, 10**digits)
    return f"{sign}{whole:,}.{minor:0{digits}} {currency}"
