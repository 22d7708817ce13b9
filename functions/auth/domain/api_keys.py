"""API keys, with which a user's servers sign in until the keys are revoked."""

import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from common import clock, ids

from functions.auth.domain.sessions import SCOPES, Claims, digest_of_secret
from functions.auth.domain.users import User

MAX_API_KEYS = 20
"""How many API keys a user may have."""
_LAST_USED_PRECISION = timedelta(hours=1)
_TEXT = re.compile(r"(key_[^.]+)\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of a user, with a digest of its secret. `last_used_at` is accurate to the hour."""

    id: str
    user_id: str
    name: str
    scopes: tuple[str, ...]
    digest: str = field(repr=False)
    created_at: str
    last_used_at: str | None = None

    @classmethod
    def new(cls, id: str, secret: str, user: User, name: str, scopes: set[str], at: datetime) -> "ApiKey":
        """Return a new key. `secret` is 256 random bits as text."""
        ordered = tuple(scope for scope in SCOPES if scope in scopes)
        return cls(id, user.id, name, ordered, digest_of_secret(secret), clock.timestamp(at))

    def matches(self, secret: str) -> bool:
        """Return whether this is the secret of the key."""
        return hmac.compare_digest(digest_of_secret(secret), self.digest)

    def claims(self, user: User) -> Claims:
        """Return what the key allows: its scopes, with the role of a customer whatever the role of `user`."""
        return Claims(
            user.id,
            self.id,
            "customer",
            self.scopes,
            user.email_verified,
            expires_at="",
            has_second_factor=user.has_second_factor,
        )

    def used(self, at: datetime) -> "ApiKey | None":
        """Return the key with its last use at `at`, or None if a use in the last hour is recorded already."""
        last = self.last_used_at
        if last is not None and at - clock.parse(last) < _LAST_USED_PRECISION:
            return None
        return replace(self, last_used_at=clock.timestamp(at))


class CreatedApiKey(NamedTuple):
    """A new key and its text, which is shown only once."""

    key: ApiKey
    text: str


def text_of(key_id: str, secret: str) -> str:
    """Return the key as its user stores it."""
    return f"{key_id}.{secret}"


def parts_of(text: str) -> tuple[str, str] | None:
    """Return the id and the secret of a key's text, or None if the text is malformed."""
    match = _TEXT.fullmatch(text)
    return (match[1], match[2]) if match and ids.is_id(match[1], "key") else None
