"""Ids: a prefix that names the kind, and a ULID (48 bits of time, 80 random or derived, base32). They sort by time."""

import hashlib
import re
import secrets
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PREFIXES = {
    "user_id": "usr",
    "session_id": "ses",
    "key_id": "key",
    "account_id": "acc",
    "card_id": "crd",
    "bank_account_id": "bka",
    "transfer_id": "trf",
    "notification_id": "ntf",
}
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id(prefix: str, at: datetime) -> str:
    """Return a new id of the kind `prefix` with the time `at`."""
    return f"{prefix}_{_ulid(at, secrets.token_bytes(10))}"


def derived_id(prefix: str, at: datetime, *parts: str) -> str:
    """Return the id that follows from `at` and `parts`: a retried write under it is written once."""
    return f"{prefix}_{_ulid(at, hashlib.sha256(chr(31).join(parts).encode()).digest()[:10])}"


def is_id(text: str, prefix: str) -> bool:
    """Return whether `text` is a well-formed id of the kind `prefix`."""
    return text.startswith(f"{prefix}_") and _ULID.fullmatch(text, len(prefix) + 1) is not None


def prefix_of(parameter: str) -> str:
    """Return the prefix of the ids in a path parameter or field: `acc` for `account_id`. Raises KeyError if unknown."""
    return _PREFIXES[parameter]


def _ulid(at: datetime, tail: bytes) -> str:
    number = int(at.timestamp() * 1000) << 80 | int.from_bytes(tail)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5))
