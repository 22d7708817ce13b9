"""Amounts as documents show them."""

from common.money import exponent, format_amount


def decimal(amount: int, currency: str) -> str:
    """Minor units in plain decimal notation: `-1234.50` for USD, `-1234` for JPY, `-1.234` for BHD."""
    digits = exponent(currency)
    sign, units = ("-" if amount < 0 else ""), str(abs(amount)).zfill(digits + 1)
    return f"{sign}{units[:-digits]}.{units[-digits:]}" if digits else sign + units


def grouped(amount: int, currency: str) -> str:
    """The same with thousands apart, for people: `-1,234.50`."""
    return format_amount(amount, currency).removesuffix(f" {currency}")
