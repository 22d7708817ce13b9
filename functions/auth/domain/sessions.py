"""Sessions, the refresh tokens that carry them on, and the claims of access tokens."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from common import clock, ids
from common.events import Actor, Event

ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=30)
REUSE_GRACE = timedelta(seconds=10)
"""Two tabs may send one refresh token; only what comes later than this is taken for theft."""
SCOPES = ("read", "write", "payments")

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good access token says, as of when it was issued."""

    user_id: str
    session_id: str
    role: str
    scopes: tuple[str, ...]
    email_verified: bool


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token: whose, of which session, a `family` secret that all tokens of the session share, and 256 random
    bits of its own. Clients see one opaque text."""

    user_id: str
    session_id: str
    family: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """The token that `text` is, None where it can be none of ours."""
        match text.split("."):
            case [user_id, session_id, family, secret] if (
                ids.is_id(user_id, "usr")
                and ids.is_id(session_id, "ses")
                and _SECRET.fullmatch(family)
                and _SECRET.fullmatch(secret)
            ):
                return cls(user_id, session_id, family, secret)
        return None

    @property
    def text(self) -> str:
        """The token as the client keeps it."""
        return f"{self.user_id}.{self.session_id}.{self.family}.{self.secret}"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in device. It keeps digests of its current refresh token and of the family.

    `expires_at` (epoch seconds) is when the current refresh token dies, and the session with it.
    """

    id: str
    user_id: str
    family: str = field(repr=False)
    current: str = field(repr=False)
    rotated_at: str
    created_at: str
    device: str
    ip: str
    ended_at: str | None
    expires_at: int

    @classmethod
    def new(cls, token: RefreshToken, at: datetime, actor: Actor) -> "Session":
        """The session that a login opens, with its first refresh token."""
        return cls(
            id=token.session_id,
            user_id=token.user_id,
            family=_digest(token.family),
            current=_digest(token.secret),
            rotated_at=clock.timestamp(at),
            created_at=clock.timestamp(at),
            device=actor.user_agent or "",
            ip=actor.ip or "",
            ended_at=None,
            expires_at=_expiry(at),
        )

    def is_live(self, at: datetime) -> bool:
        """Whether it has neither ended nor expired."""
        return self.ended_at is None and at.timestamp() < self.expires_at

    def owns(self, token: RefreshToken) -> bool:
        """Whether `token` is or once was a refresh token of this session, and no guess from its public ids."""
        return hmac.compare_digest(_digest(token.family), self.family)

    def judge(self, token: RefreshToken, at: datetime) -> Literal["rotate", "refuse", "end"]:
        """What using `token` now leads to: the next token, a plain no, or a no that ends the session for theft."""
        if not self.is_live(at) or not self.owns(token):
            return "refuse"
        if hmac.compare_digest(_digest(token.secret), self.current):
            return "rotate"
        return "end" if at - clock.parse(self.rotated_at) > REUSE_GRACE else "refuse"

    def rotated(self, token: RefreshToken, at: datetime, actor: Actor) -> "Session":
        """The session with `token` as its current one."""
        return replace(
            self,
            current=_digest(token.secret),
            rotated_at=clock.timestamp(at),
            ip=actor.ip or "",
            expires_at=_expiry(at),
        )

    def login_event(self, at: datetime, actor: Actor) -> Event:
        """The event of the login that opened it."""
        who = replace(actor, user_id=self.user_id, session_id=self.id)
        return Event.new("user.login", self.id, 1, at, {"user_id": self.user_id}, who)


def _digest(secret: str) -> str:
    # 256 random bits can't be guessed from their digest: no key and no salt are needed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _expiry(at: datetime) -> int:
    return int((at + REFRESH_LIFETIME).timestamp())
