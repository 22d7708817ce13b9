"""The texts of mails and text messages."""

import re
from typing import get_args

import pytest
from common import clock

from functions.mail.domain.mails import Kind, MailEntry, NoticeKind, SecurityKind
from functions.mail.domain.texts import code_mail, code_text_message, notice_mail, previous_address_mail
from tests.unit.mail.world import START

AT = clock.timestamp(START)
CODES: tuple[Kind, ...] = ("verify_email", "login_code", "reset_password", "email_change", "pin_reset")
SECURITY_KINDS: tuple[Kind, ...] = get_args(SecurityKind)
NOTICE_KINDS: tuple[Kind, ...] = get_args(NoticeKind)
EVIL = '<script>alert(1)</script> & "$first_name" ${body}'


def test_what_users_wrote_is_escaped_in_html_and_unchanged_in_text() -> None:
    mail = notice_mail("transfer_received", EVIL, [MailEntry(AT, 5, "JPY", EVIL)])
    assert "<script>" not in mail.html
    assert mail.html.count("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;$first_name&quot; ${body}") == 2
    assert mail.text.count(EVIL) == 2
    assert mail.subject == "You received 5 JPY"


def test_a_merged_mail_escapes_too() -> None:
    mail = notice_mail("transfer_sent", "Ada", [MailEntry(AT, 5, "JPY", EVIL)] * 2)
    assert "<script>" not in mail.html
    assert mail.html.count("<li>5 JPY to &lt;script&gt;") == 2


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Pay at https://evil/x", "Pay at https: //evil/x"),
        ("WWW.evil", "WWW. evil"),
        ("see evil.example/x now", "see evil. example/x now"),
        ("a\u3002evil.example", "a\u3002 evil. example"),
        ("ev\u200bil@x.example", "evil @ x. example"),
        ("evil +1 900 555 0100", "evil …0100"),
    ],
)
def test_a_name_never_becomes_a_link(name: str, shown: str) -> None:
    entry = MailEntry(AT, 5, "JPY", name, name)
    mails = [notice_mail(kind, name, [entry] * number) for kind in NOTICE_KINDS for number in (1, 2)]
    for mail in mails:
        assert not re.search(r"://|\S@\S|\w[.\u3002]\w{2}|555", mail.text)
        assert "evil" not in mail.subject
        assert mail.text.startswith(f"Hello {shown},") and f"<p>Hello {shown},</p>" in mail.html
    assert f"5 JPY from {shown} on" in notice_mail("transfer_received", name, [entry]).text
    assert f"5 JPY to {shown} on" in notice_mail("transfer_sent", name, [entry]).html
    assert f"The PIN of {shown} was locked" in notice_mail("pin_locked", name, [entry]).text


@pytest.mark.parametrize("name", ["", "\u200b", "\u3164 \u2060", "\ufeff\u00ad", "\u0301\u0301"])
def test_a_name_with_nothing_visible_is_replaced(name: str) -> None:
    mail = notice_mail("transfer_received", name, [MailEntry(AT, 5, "JPY", name)])
    assert mail.text.startswith("Hello,") and "<p>Hello,</p>" in mail.html
    assert "5 JPY from another customer on" in mail.text
    assert "The PIN of your account was locked" in notice_mail("pin_locked", name, [MailEntry(AT, about=name)]).text


@pytest.mark.parametrize("kind", CODES)
def test_a_mail_with_a_code_carries_no_name(kind: Kind) -> None:
    mail = code_mail(kind, "042137", 15)
    assert mail.text.startswith("Hello,\n") and "<p>Hello,</p>" in mail.html


@pytest.mark.parametrize("kind", SECURITY_KINDS)
def test_a_security_mail_says_what_to_do_if_it_was_not_you(kind: Kind) -> None:
    mail = notice_mail(kind, "Ada", [MailEntry(AT, about="Main", device="Firefox on Linux")])
    advice = "contact support" if kind == "account_suspended" else "If this wasn't you, reset your password immediately"
    assert advice in mail.text
    assert advice in mail.html


def test_the_mail_to_a_previous_address_has_no_name_and_points_to_support() -> None:
    mail = previous_address_mail("email_changed", MailEntry(AT))
    assert mail.subject == "Your email address was changed"
    assert mail.text.startswith("Hello,\n") and "<p>Hello,</p>" in mail.html
    for part in (mail.text, mail.html):
        assert "If this wasn't you, contact support immediately." in part
        assert "reset your password" not in part


@pytest.mark.parametrize(
    ("number", "ended"),
    [
        (0, "All your other sessions were ended."),
        (1, "All your other sessions were ended, and 1 API key was revoked."),
        (2, "All your other sessions were ended, and 2 API keys were revoked."),
    ],
)
def test_a_changed_password_reports_the_api_keys_that_were_revoked(number: int, ended: str) -> None:
    mail = notice_mail("password_changed", "Ada", [MailEntry(AT, keys_revoked=number)])
    assert ended in mail.text and ended in mail.html


def test_a_new_sign_in_names_device_address_and_time() -> None:
    entry = MailEntry(AT, device="Firefox on Linux, IP address 203.0.113.7")
    text = notice_mail("new_login", "Ada", [entry]).text
    device = "a new device, Firefox on Linux, IP address 203.0.113.7, on 2026-11-21 at 09:30 UTC."
    assert f"There was a sign-in to your account from {device}" in text


@pytest.mark.parametrize("name", ["J.R.R.", "Mary-Jane O'Neil", "Jr.", "\u674e", "Ada L."])
def test_names_without_links_are_shown_unchanged(name: str) -> None:
    mail = notice_mail("transfer_received", name, [MailEntry(AT, 5, "JPY", name)])
    assert mail.text.startswith(f"Hello {name},")
    assert f"from {name} on " in mail.text


def test_a_merged_mail_lists_by_time() -> None:
    late, early = MailEntry("2026-11-21T09:31:00.000Z", 200, "USD", "B"), MailEntry(AT, 100, "USD", "A")
    text = notice_mail("transfer_sent", "Ada", [late, early]).text
    assert text.index("1.00 USD to A") < text.index("2.00 USD to B")


@pytest.mark.parametrize(("number", "more"), [(100, None), (101, "and 1 more"), (5000, "and 4,900 more")])
def test_a_very_long_list_is_cut_and_ends_with_the_number_left_out(number: int, more: str | None) -> None:
    mail = notice_mail("transfer_received", "Ada", [MailEntry(AT, 100, "USD", "Grace")] * number)
    assert mail.subject == f"You received {number:,} transfers"
    assert mail.text.count("1.00 USD from Grace") == mail.html.count("1.00 USD from Grace") == 100
    assert (more in mail.text) if more else ("more" not in mail.text)


@pytest.mark.parametrize("kind", CODES)
def test_the_code_is_in_both_parts_and_not_in_the_subject(kind: Kind) -> None:
    mail = code_mail(kind, "042137", 15)
    for part in (mail.text, mail.html):
        assert "042137" in part
        assert "15 minutes" in part
        assert "Nobody from Remit will ever ask you for it" in part
    assert "042137" not in mail.subject


def test_each_kind_has_its_own_subject() -> None:
    subjects = [code_mail(kind, "042137", 15).subject for kind in CODES]
    subjects += [notice_mail(kind, "Ada", [MailEntry(AT, 5, "JPY", "Grace", "Main")]).subject for kind in NOTICE_KINDS]
    assert len(set(subjects)) == len(subjects) == 20


GSM_03_38 = set("@\n\r !\"#%&'()*+,-./:;<=>?$_" + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def test_a_text_message_is_one_segment_and_names_sender_code_and_validity() -> None:
    text = code_text_message("042137", 10)
    assert len(text) <= 160
    assert set(text) <= GSM_03_38
    for part in ("Remit", "042137", "10 minutes", "Nobody from Remit will ever ask you for it"):
        assert part in text


def test_a_change_of_role_names_the_role_and_the_time() -> None:
    mail = notice_mail("role_changed", "Ada", [MailEntry(AT, about="arbiter")])
    assert "You were given the role arbiter on 2026-11-21 at 09:30 UTC." in mail.text


def test_a_merged_welcome_equals_a_single_one() -> None:
    assert notice_mail("welcome", "Ada", [MailEntry(AT)] * 2) == notice_mail("welcome", "Ada", [MailEntry(AT)])
