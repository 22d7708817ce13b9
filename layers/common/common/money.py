"""Money: an integer in the currency's minor unit beside its ISO 4217 code. Never a float."""

from common.iso4217 import CURRENCIES

MAX_AMOUNT = 10**15


def is_currency(code: str) -> bool:
    """Return whether `code` is an ISO 4217 currency that can be used for payments."""
    return code in CURRENCIES


def exponent(currency: str) -> int:
    """Return the number of minor digits of `currency` (ISO 4217): 2 for USD, 0 for JPY, 3 for BHD.

    Raises KeyError if the code is unknown.
    """
    return CURRENCIES[currency][0]


def format_amount(amount: int, currency: str) -> str:
    """Return `amount` minor units as a person reads them: `format_amount(1050, "USD") == "10.50 USD"`."""
    digits = exponent(currency)
    sign, units = ("-" if amount < 0 else ""), abs(amount)
    if digits == 0:
        return f"{sign}{units:,} {currency}"
    whole, minor = divmod(units, 10**digits)
    return f"{sign}{whole:,}.{minor:0{digits}} {currency}"
