"""What mails say."""

import pytest
from common import clock

from functions.mail.domain import NOTICE_KINDS, Entry, Kind
from functions.mail.templates import code_letter, code_text, letter
from tests.unit.mail.fakes import START

AT = clock.timestamp(START)
CODES: tuple[Kind, ...] = ("verify_email", "login_code", "reset_password", "email_change", "pin_reset")
EVIL = '<script>alert(1)</script> & "$first_name" ${body}'


def test_what_people_wrote_is_escaped_in_html_and_as_it_is_in_text() -> None:
    mail = letter("transfer_received", EVIL, [Entry(AT, 5, "JPY", EVIL)])
    assert "<script>" not in mail.html
    assert mail.html.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;$first_name&quot; ${body}") == 2
    assert mail.text.count(EVIL) == 2
    assert mail.subject == "You received 5 JPY"


def test_a_merged_mail_escapes_too() -> None:
    mail = letter("transfer_sent", "Ada", [Entry(AT, 5, "JPY", EVIL)] * 2)
    assert "<script>" not in mail.html
    assert mail.html.count("<li>5 JPY to &lt;script&gt;") == 2


@pytest.mark.parametrize("name", ["Pay at https://evil/x", "WWW.evil", "see evil.example/x now", "a\u3002evil.example"])
def test_nobody_s_name_makes_a_link_in_somebody_s_mail(name: str) -> None:
    mails = [
        *(code_letter(kind, name, "042137", 10) for kind in CODES),
        letter("welcome", name, [Entry(AT)]),
        letter("transfer_received", name, [Entry(AT, 5, "JPY", name)]),
        letter("transfer_sent", name, [Entry(AT, 5, "JPY", name)] * 2),
        *(letter(kind, name, [Entry(AT, 5, "JPY", name, name)]) for kind in NOTICE_KINDS),
        *(letter(kind, name, [Entry(AT, 5, "JPY", name, name)] * 2) for kind in NOTICE_KINDS),
    ]
    assert not [mail for mail in mails if "evil" in (mail.subject + mail.text + mail.html).lower()]
    assert all(mail.text.startswith("Hello,") and "<p>Hello,</p>" in mail.html for mail in mails)
    assert "5 JPY from another customer" in letter("transfer_received", name, [Entry(AT, 5, "JPY", name)]).text
    assert "The PIN of your account was locked" in letter("pin_locked", name, [Entry(AT, about=name)]).text


@pytest.mark.parametrize("name", ["J.R.R.", "Mary-Jane O'Neil", "Jr.", "\u674e", "Ada L."])
def test_names_stand_in_a_mail_as_they_are(name: str) -> None:
    mail = letter("transfer_received", name, [Entry(AT, 5, "JPY", name)])
    assert mail.text.startswith(f"Hello {name},")
    assert f"from {name}," in mail.text


def test_a_merged_mail_lists_by_time() -> None:
    late, early = Entry("2026-11-21T09:31:00.000Z", 200, "USD", "B"), Entry(AT, 100, "USD", "A")
    text = letter("transfer_sent", "Ada", [late, early]).text
    assert text.index("1.00 USD to A") < text.index("2.00 USD to B")


@pytest.mark.parametrize(("number", "more"), [(100, None), (101, "and 1 more"), (5000, "and 4,900 more")])
def test_a_very_long_list_is_cut_and_says_so(number: int, more: str | None) -> None:
    mail = letter("transfer_received", "Ada", [Entry(AT, 100, "USD", "Grace")] * number)
    assert mail.subject == f"You received {number:,} transfers"
    assert mail.text.count("1.00 USD from Grace") == mail.html.count("1.00 USD from Grace") == 100
    assert (more in mail.text) if more else ("more" not in mail.text)


@pytest.mark.parametrize("kind", CODES)
def test_the_code_is_in_both_parts_and_not_in_the_subject(kind: Kind) -> None:
    mail = code_letter(kind, "Ada", "042137", 15)
    for part in (mail.text, mail.html):
        assert "042137" in part
        assert "15 minutes" in part
        assert "nobody from Remit will ask you for it" in part
    assert "042137" not in mail.subject


def test_mails_of_different_kinds_say_different_things() -> None:
    subjects = [code_letter(kind, "Ada", "042137", 15).subject for kind in CODES]
    subjects += [letter(kind, "Ada", [Entry(AT, 5, "JPY", "Grace", "Main")]).subject for kind in NOTICE_KINDS]
    assert len(set(subjects)) == len(subjects) == 14


GSM_03_38 = set("@\n\r !\"#%&'()*+,-./:;<=>?$_" + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def test_a_text_message_is_one_segment_and_says_who_and_what() -> None:
    text = code_text("042137", 10)
    assert len(text) <= 160
    assert set(text) <= GSM_03_38
    for part in ("Remit", "042137", "10 minutes", "Nobody from Remit will ever ask you for it"):
        assert part in text


def test_what_an_admin_did_names_the_role_and_the_time() -> None:
    mail = letter("role_changed", "Ada", [Entry(AT, about="arbiter")])
    assert "You now have the role arbiter, 2026-11-21 09:30 UTC." in mail.text


def test_welcome_is_one_however_many_came() -> None:
    assert letter("welcome", "Ada", [Entry(AT)] * 2) == letter("welcome", "Ada", [Entry(AT)])
