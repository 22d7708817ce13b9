"""Which passwords are too easy to guess (OWASP ASVS 5.0, 6.2)."""

import re
import unicodedata
from collections.abc import Container

from common.errors import Refusal

MIN_LENGTH = 8
CONTEXT_WORDS = ("remit",)
"""Words that attackers would try here first, beside the user's own name and email (docs/security.md)."""


def canonical(password: str) -> str:
    """Return the password in NFKC: keyboards compose accents differently."""
    return unicodedata.normalize("NFKC", password)


def check_strength(password: str, common: Container[str], email: str, first_name: str, last_name: str) -> None:
    """Raise Refusal `weak_password` if the password is common, or easy to guess for somebody who knows the user."""
    check_common(password, common)
    check_personal(password, email, first_name, last_name)


def check_common(password: str, common: Container[str]) -> None:
    """Raise Refusal `weak_password` if the password is short or among the `common` ones, which are in lower case."""
    password = canonical(password)
    if len(password) < MIN_LENGTH:
        raise Refusal("weak_password", f"The password must have at least {MIN_LENGTH} characters.")
    if password.casefold() in common:
        raise Refusal("weak_password", "This password is too common. Choose another one.")


def check_personal(password: str, email: str, first_name: str, last_name: str) -> None:
    """Raise Refusal `weak_password` if the password is the user's name or email, or the name of the service.

    Case, punctuation, and digits around these words make no difference.
    """
    own = {email, email.partition("@")[0], first_name, last_name, first_name + last_name, last_name + first_name}
    bare = _bare(password)
    if bare and bare in {_bare(word) for word in own.union(CONTEXT_WORDS)}:
        raise Refusal("weak_password", "The password must not be your name, your email or the name of this service.")


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", canonical(text).casefold()).strip("0123456789")
