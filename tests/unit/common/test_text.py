"""Names, titles and descriptions: what can be seen, what a name is, and what imitates the product's name."""

import pytest
from common.http.text import imitates_product, person_name, visible


@pytest.mark.parametrize(
    "text",
    [
        "a\u200bb",
        "\u3164",
        "a\u2060",
        "\ufeffa",
        "a\u00adb",
        "\u2800",
        "a\U000e0041",
        "a\u202eb",
        "a\u2066b",
        "a\u200e",
        "a\x00",
        "a\nb",
        "a\u2028",
        "a\ue000",
        "\ufe0f",
        "\u115f",
    ],
)
def test_what_can_not_be_seen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invisible"):
        visible(text)
    with pytest.raises(ValueError, match="invisible"):
        person_name(text)


@pytest.mark.parametrize("text", ["Lunch", "na\u00efve \U0001f600", "\u05e9\u05dc\u05d5\u05dd", "100 % (net)", ""])
def test_what_can_be_seen_passes(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (" Ada ", "Ada"),
        ("O'Brien", "O'Brien"),
        ("D\u2019Arcy", "D\u2019Arcy"),
        ("Jean-Luc", "Jean-Luc"),
        ("Sammy Davis, Jr.", "Sammy Davis, Jr."),
        ("\u6797", "\u6797"),
        ("\u0928\u0930\u0947\u0928\u094d\u0926\u094d\u0930", "\u0928\u0930\u0947\u0928\u094d\u0926\u094d\u0930"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("a\u0316\u0301", "\u00e1\u0316"),
    ],
)
def test_names_of_people(text: str, name: str) -> None:
    assert person_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "'-.,",
        "call +1 900 555",
        "a1",
        "a/b",
        "a@b",
        "<b>",
        "http://x",
        "a" + "\u0316" * 3,
        "x" + "\u0301" * 99,
        "\U0001f600",
    ],
)
def test_what_is_no_name_of_a_person(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        person_name(text)


@pytest.mark.parametrize(
    "name",
    [
        "Remit",
        "REMIT",
        "re mit",
        "R\u0435mit",
        "R\u0435m\u0456\u0442",
        "R\u00e9mit",
        "Rem1t",
        "Rernit",
        "R.e.m.i.t",
        "\uff32\uff45\uff4d\uff49\uff54",
    ],
)
def test_what_imitates_the_product(name: str) -> None:
    assert imitates_product(name)


@pytest.mark.parametrize("name", ["Rem", "Remi", "Remitt", "Kermit", "Emit", "Ada"])
def test_what_does_not(name: str) -> None:
    assert not imitates_product(name)
