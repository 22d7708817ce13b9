"""Text that users wrote, as it is shown to others: visible, without links and phone numbers."""

import re

import pytest
from common.display import device, is_visible, safe_text
from hypothesis import example, given
from hypothesis import strategies as st

# What mail programs and phones make links of: a scheme, a host name, an address, a server's share, a phone number.
LINKS = [
    re.compile(pattern)
    for pattern in (
        r"[^\W\d_][:\uff1a]\S",
        r"\S[.\u3002\uff0e\uff61][A-Za-z]{2}",
        r"\d\.\d+\.\d+\.\d",
        r"\S[@\uff20]\S",
        r"\\\\",
        r"\d(?:[\s().\-/]*\d){6}",
    )
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example", "https: //evil. example"),
        ("WWW.evil.example/x?y=1", "WWW. evil. example/x?y=1"),
        ("t.co/abc", "t. co/abc"),
        ("a\u3002evil.example", "a\u3002 evil. example"),
        ("evil\uff0eexample", "evil\uff0e example"),
        ("evil.\u092d\u093e\u0930\u0924", "evil. \u092d\u093e\u0930\u0924"),
        ("evil.e\u0301x", "evil. \u00e9x"),
        ("e\u200bvil.ex\u200bample", "evil. example"),
        ("http://192.0.2.1/x", "http: //192. 0. 2.1/x"),
        ("a@b.example", "a @ b. example"),
        ("a\uff20b.example", "a \uff20 b. example"),
        ("mailto:a", "mailto: a"),
        (r"\\server\share", r"\ \server\share"),
        ("call +1 900 555 0100 now", "call …0100 now"),
        ("0305550100", "…0100"),
        ("(030) 555-01.00", "(…0100"),
        ("+49\u00a030\u20105550100", "…0100"),
        ("\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667", "…\u0664\u0665\u0666\u0667"),
        ("tel:+1900\u200b5550100", "tel: …0100"),
    ],
)
def test_a_link_or_phone_number_is_broken(text: str, shown: str) -> None:
    assert safe_text(text, "nobody") == shown


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace",
        "J.R.R. Tolkien",
        "J.-P. Sartre",
        "Sammy Davis, Jr.",
        "M.D'Arcy",
        "Visa 4242",
        "Saving 1.50 for 2026",
        "Rent: May",
        "Lunch @ Joe's",
        "10:30",
        "\u674e",
        "\u0928\u0930\u0947\u0928\u094d\u0926\u094d\u0930",
        "<b>&",
        "\U0001f600",
    ],
)
def test_other_text_is_shown_unchanged(text: str) -> None:
    assert safe_text(text, "nobody") == text


@pytest.mark.parametrize(
    "text", ["", "  ", "\u200b", "\u3164", "\u2060\ufeff\u00ad", "\u2800", "\U000e0041", "\u0301\u0301", "\x00\n"]
)
def test_text_with_nothing_visible_is_replaced(text: str) -> None:
    assert safe_text(text, "nobody") == "nobody"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A\u200bda", "Ada"),
        ("\u202eadA", "adA"),
        ("Ada\nYour code is", "Ada Your code is"),
        ("Ada\u2028\t Lovelace ", "Ada Lovelace"),
        ("x" + "\u0316" * 99, "x\u0316\u0316"),
        ("\u0301Ada \u0301", "Ada"),
        ("x\u0316\u0316\u200b\u0316\u0316y\u0316", "x\u0316\u0316y\u0316"),
    ],
)
def test_what_can_not_be_seen_is_dropped(text: str, shown: str) -> None:
    assert safe_text(text, "nobody") == shown


@given(st.text(alphabet=st.sampled_from("ab1.:@/\\+-() \u3002\uff0e\u200b\u0301\n\u202e")))
@example("1\u200b234567")
@example("a.\u200bbc")
def test_no_text_makes_a_link(text: str) -> None:
    shown = safe_text(text, "nobody")
    assert not [link.pattern for link in LINKS if link.search(shown)]
    assert all(map(is_visible, shown))
    assert safe_text(shown, "nobody") == shown


def test_a_device_is_named_without_copying_what_it_says_of_itself() -> None:
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0.0.0 Safari/537.36"
    assert device(chrome, "203.0.113.7") == "Chrome on Windows, IP address 203.0.113.7"
    assert device("evil.example/1", "fe80::1%evil.example") == "an unknown device, IP address fe80::1"
    assert device(None, None) == "an unknown device, unknown IP address"
