"""The currencies, against ISO 4217's list one of 2026-01-01, typed in here because no package of it is a dependency."""

import re

from common.iso4217 import CURRENCIES

# All alphabetic codes of countries and unions. Left out are funds (BOV CHE CHW CLF COU MXV USN UYI UYW XSU XUA), metals
# (XAG XAU XPD XPT), bond units (XBA XBB XBC XBD), the SDR (XDR), XTS and XXX.
ISO_4217 = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP
    CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR
    IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG
    SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV
    WST XAD XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}


def test_every_currency_of_payment_is_there() -> None:
    assert sorted(CURRENCIES) == ISO_4217.split()


def test_currencies_have_their_minor_digits() -> None:
    exponents = {code: digits for digits, codes in EXPONENTS.items() for code in codes.split()}
    assert {code: digits for code, (digits, _) in CURRENCIES.items() if digits != 2} == exponents


def test_currencies_are_sorted_and_named() -> None:
    assert list(CURRENCIES) == sorted(CURRENCIES)
    assert all(re.fullmatch("[A-Z]{3}", code) and name for code, (_, name) in CURRENCIES.items())
