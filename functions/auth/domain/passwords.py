"""Which passwords are too easy to guess (OWASP ASVS 5.0, 6.2)."""

import re
import unicodedata
from collections.abc import Container

from common.errors import Problem

MIN_LENGTH = 8
CONTEXT_WORDS = ("remit",)
"""What anybody would try here, beside the user's own name and email (docs/security.md)."""


def canonical(password: str) -> str:
    """The text that a password stands for: keyboards compose accents differently, and NFKC makes one text of them."""
    return unicodedata.normalize("NFKC", password)


def check_strength(password: str, common: Container[str], email: str, first_name: str, last_name: str) -> None:
    """Refuses what is easy to guess for anybody, or for who knows the user. Raises Problem `weak_password`."""
    check_common(password, common)
    check_own(password, email, first_name, last_name)


def check_common(password: str, common: Container[str]) -> None:
    """Refuses passwords that are short, or among the commonest (`common`, in lower case).

    Raises Problem `weak_password`.
    """
    password = canonical(password)
    if len(password) < MIN_LENGTH:
        raise Problem("weak_password", f"The password must have at least {MIN_LENGTH} characters.")
    if password.casefold() in common:
        raise Problem("weak_password", "This is one of the commonest passwords.")


def check_own(password: str, email: str, first_name: str, last_name: str) -> None:
    """Refuses passwords that are the user's own name or email, or ours.

    Case, punctuation and digits put around them make it no better. Raises Problem `weak_password`.
    """
    own = {email, email.partition("@")[0], first_name, last_name, first_name + last_name, last_name + first_name}
    bare = _bare(password)
    if bare and bare in {_bare(word) for word in own.union(CONTEXT_WORDS)}:
        raise Problem("weak_password", "The password must not be your name, your email or ours.")


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", canonical(text).casefold()).strip("0123456789")
