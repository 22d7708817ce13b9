"""Text that users wrote, as notifications and mails show it to others: visible, and never a link.

Mail programs and phones turn what looks like an address or a phone number into a link. A stranger's name must not
become one in a message that we send.
"""

import re
import unicodedata
from ipaddress import ip_address

MAX_MARKS_PER_LETTER = 2
_PHONE_DIGITS = 7
# Default_Ignorable_Code_Point of Unicode 16, which unicodedata does not know, and U+2800, which is blank.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Control, format, surrogate, private-use and unassigned characters, and line and paragraph separators.
_UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# What makes a link, with the space that breaks it.
_SPACED = [
    # A label of a host name has two characters or more after its dot, an initial is one letter ("J.R.R.").
    (re.compile(r"(?<=\S)([.\u2024\u3002\ufe52\uff0e\uff61])(?=[^\W\d_][^\s!-/:-@\[-`{-~\u2019])"), r"\1 "),
    (re.compile(r"(?<=\d)\.(?=\d+\.\d)"), ". "),
    (re.compile(r"(?<=\S)([@\ufe6b\uff20])(?=\S)"), r" \1 "),
    (re.compile(r"(?<=[^\W\d_])([:\ufe55\uff1a])(?=\S)"), r"\1 "),
    (re.compile(r"\\(?=\\)"), r"\\ "),
]
_PHONE = re.compile(rf"\+?\d(?:[\s().\-/\u2010-\u2015]*\d){{{_PHONE_DIGITS - 1},}}")
# In this order: the user agent of each browser may also name browsers that follow it.
_BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox", "CriOS": "Chrome"}
_BROWSERS |= {"Chrome": "Chrome", "Safari": "Safari"}
_SYSTEMS = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows"}
_SYSTEMS |= {"CrOS": "ChromeOS", "Mac OS X": "macOS", "Linux": "Linux"}
_PROGRAM = re.compile(r"([A-Za-z][A-Za-z-]{0,29})(?:/|$)")


def is_visible(char: str) -> bool:
    """Return whether a character can be seen, or is a space. Bidirectional controls are not visible."""
    return not _INVISIBLE.match(char) and unicodedata.category(char) not in _UNPRINTABLE_CATEGORIES


def safe_text(text: str, instead: str) -> str:
    """Return `text` in one line without links and phone numbers, or `instead` if nothing of it is visible.

    A space breaks a link (`https: //evil. example`), and only the last four digits of a phone number are left
    (`…0100`). Invisible characters are dropped, and so are combining marks after the second on a letter.
    """
    shown = _visible(text)
    for pattern, spaced in _SPACED:
        shown = pattern.sub(spaced, shown)
    return _PHONE.sub(_last_digits, shown) or instead


def device(user_agent: str | None, ip: str | None) -> str:
    """Return where a sign-in came from. Only a name is copied from the user agent, which could contain a link."""
    agent = user_agent or ""
    browser = next((name for token, name in _BROWSERS.items() if f"{token}/" in agent), None)
    system = next((name for token, name in _SYSTEMS.items() if token in agent), None)
    program = None if browser or agent.startswith("Mozilla/") else _PROGRAM.match(agent)
    names = [browser or (program[1] if program else None), system]
    return f"{' on '.join(filter(None, names)) or 'an unknown device'}, {_address(ip or '')}"


def _visible(text: str) -> str:
    """Return the visible characters of a text. Combining marks stay after a letter or digit, two at most."""
    shown: list[str] = []
    marks = MAX_MARKS_PER_LETTER
    # Spaces are unified first: a line break is a space here, although it is not a visible character.
    for char in filter(is_visible, unicodedata.normalize("NFC", " ".join(text.split()))):
        is_mark = unicodedata.category(char).startswith("M")
        marks = marks + 1 if is_mark else 0 if char.isalnum() else MAX_MARKS_PER_LETTER
        if not is_mark or marks <= MAX_MARKS_PER_LETTER:
            shown.append(char)
    return " ".join("".join(shown).split())


def _last_digits(number: re.Match[str]) -> str:
    digits = [char for char in number[0] if char.isdecimal()]
    return f"…{''.join(digits[-4:])}"


def _address(ip: str) -> str:
    try:
        # The zone of an IPv6 address could be any text.
        return f"IP address {ip_address(ip.partition('%')[0])}"
    except ValueError:
        return "unknown IP address"
