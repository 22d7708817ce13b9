"""The texts of mails and text messages.

What users wrote is escaped in HTML, is never part of a subject, and never becomes a link. A mail with a code carries no
name at all: anybody can register another person's address under any name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import NamedTuple

from common import clock
from common.display import safe_text
from common.money import format_amount

from functions.mail.domain.mails import Kind, MailEntry

_LISTED_ENTRIES = 100
_TEXT = Template("""\
$greeting,

$body

Remit
You received this email because you have a Remit account. We never ask for your password.
""")
_HTML = Template("""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>$subject</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 36em; margin: 2em auto; padding: 0 1em">
<p>$greeting,</p>
$body
<p style="color: #666; font-size: small">Remit<br>
You received this email because you have a Remit account. We never ask for your password.</p>
</body>
</html>
""")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is sent."""

    subject: str
    text: str
    html: str


class _CodeText(NamedTuple):
    """The text of a mail with a code: the subject, what the code is for, and what to do if it was not requested."""

    subject: str
    purpose: str
    if_not_requested: str = "you can ignore this email"


class _NoticeText(NamedTuple):
    """The text of a notice: the subject, the sentence for each entry, and what to do about it."""

    subject: str
    sentence: str
    advice: str


_CODE_TEXTS: Mapping[Kind, _CodeText] = {
    "verify_email": _CodeText("Confirm your email address", "confirm your email address"),
    "login_code": _CodeText(
        "Your sign-in code", "sign in", "someone else knows your password: sign in and change it immediately"
    ),
    "reset_password": _CodeText("Reset your password", "set a new password"),
    "email_change": _CodeText("Confirm your new email address", "use this email address for your account"),
    "pin_reset": _CodeText(
        "Reset your PIN",
        "set a new PIN",
        "someone else is signed in to your account: change your password immediately",
    ),
}
_NOT_YOU = (
    "If this wasn't you, reset your password immediately. This ends all your sessions and revokes all your API keys."
)
_NOTICE_TEXTS: Mapping[Kind, _NoticeText] = {
    "new_login": _NoticeText(
        "New sign-in to your account", "There was a sign-in to your account from a new device, $device,", _NOT_YOU
    ),
    "password_changed": _NoticeText("Your password was changed", "Your password was changed", _NOT_YOU),
    "email_change_requested": _NoticeText(
        "Your email address is about to change",
        "A change of your account's email address was requested with your password",
        "The change takes effect when the code that we sent to the new address is entered. " + _NOT_YOU,
    ),
    "email_changed": _NoticeText(
        "Your email address was changed", "The email address of your account was changed", _NOT_YOU
    ),
    "phone_changed": _NoticeText(
        "Your phone number was changed", "The phone number of your account was changed", _NOT_YOU
    ),
    "second_factor_changed": _NoticeText(
        "Your second factor was changed", "The second factor of your account was changed", _NOT_YOU
    ),
    "api_key_created": _NoticeText("An API key was created", "An API key was created for your account", _NOT_YOU),
    "api_key_revoked": _NoticeText("An API key was revoked", "An API key of your account was revoked", _NOT_YOU),
    "role_changed": _NoticeText(
        "Your role was changed",
        "You were given the role $about",
        "You were signed out of all sessions. Sign in again to continue.",
    ),
    "account_suspended": _NoticeText(
        "Your account was suspended",
        "Your account was suspended",
        "You can't sign in until it is restored. Your money stays in your accounts. To find out why, contact support.",
    ),
    "account_restored": _NoticeText(
        "Your account is active again", "Your account was restored", "You can sign in as before."
    ),
    "pin_locked": _NoticeText(
        "Your PIN is locked",
        "The PIN of $about was locked after too many wrong attempts",
        "You can't send money from that account until you set a new PIN. " + _NOT_YOU,
    ),
}
# A reset code would go to the new address, so only support can help.
_TO_PREVIOUS = (
    "This address can no longer be used to sign in or to reset the password. If this wasn't you, contact support "
    "immediately."
)


def code_mail(kind: Kind, code: str, minutes: int) -> Mail:
    """Return the mail that carries a code. The code is not in the subject, because subjects are stored."""
    text = _CODE_TEXTS[kind]
    instruction = f"Enter this code to {text.purpose}:"
    note = (
        f"This code is valid for {minutes} minutes. Nobody from Remit will ever ask you for it. "
        f"If you did not request it, {text.if_not_requested}."
    )
    return _mail(
        text.subject,
        "",
        f"{instruction}\n\n    {code}\n\n{note}",
        f'<p>{instruction}</p>\n<p style="font-size: xx-large; letter-spacing: 0.2em">{escape(code)}</p>\n'
        f"<p>{note}</p>",
    )


def code_text_message(code: str, minutes: int) -> str:
    """Return the text message that carries a code: at most 160 GSM 03.38 characters, so that it is one segment."""
    return f"Your Remit code is {code}. It is valid for {minutes} minutes. Nobody from Remit will ever ask you for it."


def notice_mail(kind: Kind, first_name: str, entries: Sequence[MailEntry]) -> Mail:
    """Return the mail of a kind that reports all of `entries`."""
    entries = sorted(entries, key=lambda entry: entry.at)
    if kind == "welcome":
        body = "Your email address is confirmed. You can now open accounts, and send and receive money."
        return _mail("Welcome to Remit", first_name, body, f"<p>{body}</p>")
    if kind in {"transfer_sent", "transfer_received"}:
        return _transfers_mail(kind, first_name, entries)
    notice = _NOTICE_TEXTS[kind]
    advice = f"{_ended(entries)} {notice.advice}" if kind == "password_changed" else notice.advice
    return _notice(notice, advice, first_name, entries)


def previous_address_mail(kind: Kind, entry: MailEntry) -> Mail:
    """Return the mail to the address that a user had before. It has no name: the address may be another person's."""
    return _notice(_NOTICE_TEXTS[kind], _TO_PREVIOUS, "", [entry])


def _notice(notice: _NoticeText, advice: str, first_name: str, entries: Sequence[MailEntry]) -> Mail:
    sentence = Template(notice.sentence)
    lines = [
        f"{sentence.substitute(about=safe_text(entry.about, 'your account'), device=entry.device)} {_time(entry.at)}."
        for entry in entries
    ]
    text, html = _list(lines)
    return _mail(notice.subject, first_name, f"{text}\n\n{advice}", f"{html}\n<p>{advice}</p>")


def _ended(entries: Sequence[MailEntry]) -> str:
    """Return what a changed password ended."""
    number = sum(entry.keys_revoked for entry in entries)
    revoked = f", and {number:,} API key{'s were' if number > 1 else ' was'} revoked" if number else ""
    return f"All your other sessions were ended{revoked}."


def _transfers_mail(kind: Kind, first_name: str, entries: Sequence[MailEntry]) -> Mail:
    verb, preposition = ("sent", "to") if kind == "transfer_sent" else ("received", "from")
    amounts = [format_amount(entry.amount, entry.currency) for entry in entries]
    lines = [
        f"{amount} {preposition} {safe_text(entry.counterpart, 'another customer')} {_time(entry.at)}"
        for amount, entry in zip(amounts, entries, strict=True)
    ]
    if len(lines) == 1:
        sentence = f"You {verb} {lines[0]}."
        return _mail(f"You {verb} {amounts[0]}", first_name, sentence, f"<p>{escape(sentence)}</p>")
    text, html = _list(lines)
    return _mail(
        f"You {verb} {len(lines):,} transfers", first_name, f"You {verb}:\n\n{text}", f"<p>You {verb}:</p>\n{html}"
    )


def _list(lines: Sequence[str]) -> tuple[str, str]:
    """Return lines as text and as HTML: a paragraph if there is one, else a list."""
    if len(lines) == 1:
        return lines[0], f"<p>{escape(lines[0])}</p>"
    shown, more = list(lines[:_LISTED_ENTRIES]), len(lines) - _LISTED_ENTRIES
    if more > 0:
        shown.append(f"and {more:,} more")
    items = "\n".join(f"<li>{escape(line)}</li>" for line in shown)
    return "\n".join(f"- {line}" for line in shown), f"<ul>\n{items}\n</ul>"


def _mail(subject: str, first_name: str, text: str, html: str) -> Mail:
    greeting = f"Hello {safe_text(first_name, '')}".rstrip()
    return Mail(
        subject,
        _TEXT.substitute(greeting=greeting, body=text),
        _HTML.substitute(subject=escape(subject), greeting=escape(greeting), body=html),
    )


def _time(at: str) -> str:
    return clock.parse(at).strftime("on %Y-%m-%d at %H:%M UTC")
