"""What mails say: a subject, a text and an HTML part; and what text messages say. Whatever comes from people is escaped
in HTML, never stands in a subject, and makes no link: anybody may register somebody else's address under any name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import NamedTuple

from common import clock
from common.money import format_amount

from functions.mail.domain import Entry, Kind

_LISTED = 100
# What mail programs make a link of: an address with its scheme, and a host's name without one.
_LINK = re.compile(r"://|\w[.\u3002\uff0e\uff61]\w{2}")
_TEXT = Template("""\
$greeting,

$body

Remit
You get this mail because you have an account with us. We never ask for your password.
""")
_HTML = Template("""\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>$subject</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 36em; margin: 2em auto; padding: 0 1em">
<p>$greeting,</p>
$body
<p style="color: #666; font-size: small">Remit<br>
You get this mail because you have an account with us. We never ask for your password.</p>
</body>
</html>
""")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it is sent."""

    subject: str
    text: str
    html: str


class _Asked(NamedTuple):
    """A mail with a code: its subject, what the code does, and what to do about a code that nobody asked for."""

    subject: str
    told: str
    unasked: str = "you need do nothing"


class _Said(NamedTuple):
    """A mail that tells what was done: its subject, the sentence for each time, and what to do about it."""

    subject: str
    sentence: str
    advice: str


_ASKED: Mapping[Kind, _Asked] = {
    "verify_email": _Asked("Confirm your email address", "confirm your email address"),
    "login_code": _Asked(
        "Your code to sign in", "sign in", "somebody knows your password: sign in and change it at once"
    ),
    "reset_password": _Asked("Reset your password", "set a new password"),
    "email_change": _Asked("Confirm your new email address", "make this the email address of your account"),
    "pin_reset": _Asked(
        "Reset your PIN", "set a new PIN", "somebody else is signed in as you: change your password at once"
    ),
}
_NOT_YOU = "If that was not you, reset your password at once: that ends every session."
_SAID: Mapping[Kind, _Said] = {
    "password_changed": _Said("Your password was changed", "Your password was changed", _NOT_YOU),
    "email_change_requested": _Said(
        "Your email address is about to change",
        "A change of your account's email address was asked for, with your password",
        "The change waits for a code that was sent to the new address. " + _NOT_YOU,
    ),
    "role_changed": _Said(
        "Your role was changed",
        "You now have the role $about",
        "You were signed out everywhere; sign in again to go on.",
    ),
    "account_suspended": _Said(
        "Your account was suspended",
        "Your account was suspended",
        "You can't sign in while it is. Your money stays where it is.",
    ),
    "account_restored": _Said(
        "Your account is active again", "Your account was made active again", "You can sign in as before."
    ),
    "pin_locked": _Said(
        "Your PIN is locked",
        "The PIN of $about was locked after too many wrong tries",
        "No money leaves that account by your hand until you have set a new PIN. " + _NOT_YOU,
    ),
}


def code_letter(kind: Kind, first_name: str, code: str, minutes: int) -> Letter:
    """The mail that carries a code. The code stands in the body alone: subjects are kept."""
    asked = _ASKED[kind]
    told = f"Enter this code to {asked.told}:"
    note = (
        f"It is good for {minutes} minutes, and nobody from Remit will ask you for it. "
        f"If you did not ask for it, {asked.unasked}."
    )
    return _letter(
        asked.subject,
        first_name,
        f"{told}\n\n    {code}\n\n{note}",
        f'<p>{told}</p>\n<p style="font-size: xx-large; letter-spacing: 0.2em">{escape(code)}</p>\n<p>{note}</p>',
    )


def code_text(code: str, minutes: int) -> str:
    """The text message that carries a code: at most 160 characters of GSM 03.38, so that it goes as one."""
    return f"Remit: {code} is your code, good for {minutes} minutes. Nobody from Remit will ever ask you for it."


def letter(kind: Kind, first_name: str, entries: Sequence[Entry]) -> Letter:
    """The mail of a kind that tells all of `entries`: one, or what a minute merged."""
    ordered = sorted(entries, key=lambda entry: entry.at)
    if kind == "welcome":
        told = "Your email address is confirmed. You can now open accounts, and send and receive money."
        return _letter("Welcome to Remit", first_name, told, f"<p>{told}</p>")
    if kind in {"transfer_sent", "transfer_received"}:
        return _transfers(kind, first_name, ordered)
    said = _SAID[kind]
    lines = [
        Template(said.sentence).substitute(about=_harmless(entry.about, "your account")) + f", {_moment(entry.at)}."
        for entry in ordered
    ]
    text, html = _listed(lines)
    return _letter(said.subject, first_name, f"{text}\n\n{said.advice}", f"{html}\n<p>{said.advice}</p>")


def _transfers(kind: Kind, first_name: str, entries: Sequence[Entry]) -> Letter:
    verb, preposition = ("sent", "to") if kind == "transfer_sent" else ("received", "from")
    lines = [
        f"{format_amount(entry.amount, entry.currency)} {preposition} "
        f"{_harmless(entry.counterpart, 'another customer')}, {_moment(entry.at)}"
        for entry in entries
    ]
    if len(lines) == 1:
        subject = f"You {verb} {format_amount(entries[0].amount, entries[0].currency)}"
        return _letter(subject, first_name, f"You {verb} {lines[0]}.", f"<p>You {verb} {escape(lines[0])}.</p>")
    text, html = _listed(lines)
    return _letter(
        f"You {verb} {len(lines):,} transfers", first_name, f"You {verb}:\n\n{text}", f"<p>You {verb}:</p>\n{html}"
    )


def _listed(lines: Sequence[str]) -> tuple[str, str]:
    """Lines as text and as HTML: a list, where they are more than one."""
    if len(lines) == 1:
        return lines[0], f"<p>{escape(lines[0])}</p>"
    shown, more = list(lines[:_LISTED]), len(lines) - _LISTED
    if more > 0:
        shown.append(f"and {more:,} more")
    items = "\n".join(f"<li>{escape(line)}</li>" for line in shown)
    return "\n".join(f"- {line}" for line in shown), f"<ul>\n{items}\n</ul>"


def _letter(subject: str, first_name: str, text: str, html: str) -> Letter:
    greeting = "Hello" if _LINK.search(first_name) else f"Hello {first_name}"
    return Letter(
        subject,
        _TEXT.substitute(greeting=greeting, body=text),
        _HTML.substitute(subject=escape(subject), greeting=escape(greeting), body=html),
    )


def _harmless(name: str, instead: str) -> str:
    return instead if _LINK.search(name) else name


def _moment(at: str) -> str:
    return clock.parse(at).strftime("%Y-%m-%d %H:%M UTC")
