"""What mails say: a subject, a text and an HTML part. Whatever comes from people is escaped in HTML, never stands in a
subject, and makes no link: anybody may register somebody else's address under any name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from string import Template

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


def verification(first_name: str, code: str, minutes: int) -> Letter:
    """The mail that carries a code to confirm an address. The code stands in the body alone: subjects are kept."""
    told = "Enter this code to confirm your email address:"
    note = f"It is good for {minutes} minutes. If you did not ask for it, you need do nothing."
    return _letter(
        "Confirm your email address",
        first_name,
        f"{told}\n\n    {code}\n\n{note}",
        f'<p>{told}</p>\n<p style="font-size: xx-large; letter-spacing: 0.2em">{escape(code)}</p>\n<p>{note}</p>',
    )


def letter(kind: Kind, first_name: str, entries: Sequence[Entry]) -> Letter:
    """The mail of a kind that tells all of `entries`: one, or what a minute merged."""
    if kind == "welcome":
        told = "Your email address is confirmed. You can now open accounts, and send and receive money."
        return _letter("Welcome to Remit", first_name, told, f"<p>{told}</p>")
    verb, preposition = ("sent", "to") if kind == "transfer_sent" else ("received", "from")
    lines = [
        f"{format_amount(entry.amount, entry.currency)} {preposition} {_counterpart(entry)}, {_moment(entry.at)}"
        for entry in sorted(entries, key=lambda entry: entry.at)
    ]
    if len(lines) == 1:
        subject = f"You {verb} {format_amount(entries[0].amount, entries[0].currency)}"
        return _letter(subject, first_name, f"You {verb} {lines[0]}.", f"<p>You {verb} {escape(lines[0])}.</p>")
    shown, more = lines[:_LISTED], len(lines) - _LISTED
    if more > 0:
        shown.append(f"and {more:,} more, which your account's entries show")
    return _letter(
        f"You {verb} {len(lines):,} transfers",
        first_name,
        f"You {verb}:\n\n" + "\n".join(f"- {line}" for line in shown),
        f"<p>You {verb}:</p>\n<ul>\n" + "\n".join(f"<li>{escape(line)}</li>" for line in shown) + "\n</ul>",
    )


def _letter(subject: str, first_name: str, text: str, html: str) -> Letter:
    greeting = "Hello" if _LINK.search(first_name) else f"Hello {first_name}"
    return Letter(
        subject,
        _TEXT.substitute(greeting=greeting, body=text),
        _HTML.substitute(subject=escape(subject), greeting=escape(greeting), body=html),
    )


def _counterpart(entry: Entry) -> str:
    return "another customer" if _LINK.search(entry.counterpart) else entry.counterpart


def _moment(at: str) -> str:
    return clock.parse(at).strftime("%Y-%m-%d %H:%M UTC")
