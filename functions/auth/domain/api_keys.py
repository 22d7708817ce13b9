"""API keys: what a user's servers sign in with, until they are revoked."""

import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from common import clock, ids

from functions.auth.domain.sessions import SCOPES, Claims, digest_of_secret
from functions.auth.domain.users import User

MOST_KEYS = 20
"""How many keys a user may have."""
_NOTED_EVERY = timedelta(hours=1)
_TEXT = re.compile(r"(key_[^.]+)\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A user's key. It keeps a digest of its secret; `last_used_at` is right to the hour.

    `generation` is the user's, where they had not proven their address yet: whoever registered somebody else's must not
    keep a way in once its owner has taken the account over by a reset.
    """

    id: str
    user_id: str
    name: str
    scopes: tuple[str, ...]
    digest: str = field(repr=False)
    created_at: str
    last_used_at: str | None = None
    generation: int | None = None

    @classmethod
    def new(cls, id: str, secret: str, user: User, name: str, scopes: set[str], at: datetime) -> "ApiKey":
        """A key whose `secret` is 256 random bits as text."""
        kept = tuple(scope for scope in SCOPES if scope in scopes)
        generation = None if user.email_verified else user.generation
        return cls(id, user.id, name, kept, digest_of_secret(secret), clock.timestamp(at), generation=generation)

    def opens(self, secret: str) -> bool:
        """Whether this is the key's secret."""
        return hmac.compare_digest(digest_of_secret(secret), self.digest)

    def is_live(self, user: User) -> bool:
        """Whether `user`, whose it is, has not ended it with all sessions."""
        return self.generation in (None, user.generation)

    def claims(self, user: User) -> Claims:
        """What it allows: the scopes, and never more than a customer may, whatever role `user` has."""
        return Claims(user.id, self.id, "customer", self.scopes, user.email_verified, expires_at="")

    def used(self, at: datetime) -> "ApiKey | None":
        """The key once it is used at `at`, None where that is not worth noting again."""
        last = self.last_used_at
        if last is not None and at - clock.parse(last) < _NOTED_EVERY:
            return None
        return replace(self, last_used_at=clock.timestamp(at))


def text_of(key_id: str, secret: str) -> str:
    """The key as its user keeps it."""
    return f"{key_id}.{secret}"


def parts_of(text: str) -> tuple[str, str] | None:
    """Id and secret of the key that `text` is, None where it can be none of ours."""
    match = _TEXT.fullmatch(text)
    return (match[1], match[2]) if match and ids.is_id(match[1], "key") else None
