"""Sessions, the refresh tokens that continue them, and the claims of access tokens."""

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from common import clock, ids
from common.contracts.events import Actor, Event

from functions.auth.domain.users import User

ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=30)
SESSION_LIFETIME = timedelta(days=90)
"""When a session ends after its login, however often it is refreshed."""
REUSE_GRACE = timedelta(seconds=10)
"""Two tabs may send the same refresh token. A later use counts as theft."""
DEVICE_MEMORY = timedelta(days=90)
SCOPES = ("read", "write", "payments")

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says, as of when it was issued, or what an API key allows.

    `auth_time` is when the user last proved who they are, in seconds since 1970. For an API key, `session_id` is the
    key's id, `expires_at` (RFC 3339) is empty and `auth_time` is 0. `has_second_factor` is not part of a token: the
    user has one now, and has proved it in this session.
    """

    user_id: str
    session_id: str
    role: str
    scopes: tuple[str, ...]
    email_verified: bool
    expires_at: str
    auth_time: int = 0
    has_second_factor: bool = False


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, which clients see as one opaque text.

    All tokens of a session share the `family` secret. `secret` is 256 random bits of this token alone.
    """

    user_id: str
    session_id: str
    family: str = field(repr=False)
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """Return the token of `text`, or None if the text is malformed."""
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
        """The token as the client stores it."""
        return f"{self.user_id}.{self.session_id}.{self.family}.{self.secret}"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in device, with digests of its current refresh token and of the family.

    `generation` is the user's when the session was opened; the session ends when the user's changes. `expires_at`
    (epoch seconds) is when the current refresh token and the session expire. `used` is when recent tokens were used,
    by digest: a thief who keeps rotating must not extend the grace period of the stolen token. `auth_time` (epoch
    seconds) is when the user logged in, or last authenticated again in this session. `has_second_factor` says that
    they gave a second factor then.
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
    generation: int
    used: dict[str, str] = field(default_factory=dict, repr=False)
    auth_time: int = 0
    has_second_factor: bool = False

    @classmethod
    def new(
        cls, token: RefreshToken, generation: int, at: datetime, actor: Actor, *, has_second_factor: bool = False
    ) -> "Session":
        """Return the session that a login opens, with its first refresh token."""
        return cls(
            id=token.session_id,
            user_id=token.user_id,
            family=digest_of_secret(token.family),
            current=digest_of_secret(token.secret),
            rotated_at=clock.timestamp(at),
            created_at=clock.timestamp(at),
            device=actor.user_agent or "",
            ip=actor.ip or "",
            ended_at=None,
            expires_at=_expiry(at, at),
            generation=generation,
            auth_time=int(at.timestamp()),
            has_second_factor=has_second_factor,
        )

    def is_live(self, at: datetime, user: User) -> bool:
        """Return whether the session is valid at `at`, given its `user` as they are now."""
        return (
            self.ended_at is None
            and at.timestamp() < self.expires_at
            and user.status == "active"
            and self.generation == user.generation
        )

    def has_issued(self, token: RefreshToken) -> bool:
        """Return whether `token` is or was a refresh token of this session. Knowing the public ids is not enough."""
        return hmac.compare_digest(digest_of_secret(token.family), self.family)

    def decide(self, token: RefreshToken, user: User, at: datetime) -> Literal["rotate", "refuse", "end"]:
        """Return what using `token` leads to: the next token, a refusal, or the end of the session because of theft."""
        if not self.is_live(at, user) or not self.has_issued(token):
            return "refuse"
        if hmac.compare_digest(digest_of_secret(token.secret), self.current):
            return "rotate"
        moment = self.used.get(digest_of_secret(token.secret))
        return "refuse" if moment is not None and at - clock.parse(moment) <= REUSE_GRACE else "end"

    def rotated(self, token: RefreshToken, at: datetime, actor: Actor) -> "Session":
        """Return the session with `token` as its current refresh token."""
        since = clock.timestamp(at - REUSE_GRACE)
        used = {digest: moment for digest, moment in self.used.items() if moment >= since}
        return replace(
            self,
            current=digest_of_secret(token.secret),
            rotated_at=clock.timestamp(at),
            ip=actor.ip or "",
            expires_at=_expiry(at, clock.parse(self.created_at)),
            used={**used, self.current: clock.timestamp(at)},
        )

    def reauthenticated(
        self, token: RefreshToken, at: datetime, actor: Actor, *, has_second_factor: bool = False
    ) -> "Session":
        """Return the session after its user proved again who they are.

        `token` begins a new family, because only digests of the old one are stored: older refresh tokens become void.
        """
        return replace(
            self.rotated(token, at, actor),
            family=digest_of_secret(token.family),
            used={},
            auth_time=int(at.timestamp()),
            has_second_factor=has_second_factor,
        )

    def login_event(self, at: datetime, actor: Actor, *, new_device: bool) -> Event:
        """Return the event of the login that opened the session. `new_device`: no earlier login used this device."""
        who = replace(actor, user_id=self.user_id, session_id=self.id)
        data = {"user_id": self.user_id, "new_device": new_device, "device": self.device}
        return Event.new("user.login", self.id, 1, at, data, who)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a user signed in from: a digest of user agent and network, until `expires_at` (epoch seconds).

    The network is the /24 of an IPv4 address and the /48 of an IPv6 address: providers move customers within these.
    A login is trusted in the user's `generation` only: whoever knew the old password loses that trust at a reset.
    """

    user_id: str
    digest: str
    expires_at: int
    generation: int = -1

    @classmethod
    def of(cls, user_id: str, at: datetime, actor: Actor, generation: int) -> "Device":
        """Return the device that `actor` uses, known for 90 days from `at`."""
        digest = digest_of_secret(f"{actor.user_agent or ''}\n{_network(actor.ip or '')}")
        return cls(user_id, digest, int((at + DEVICE_MEMORY).timestamp()), generation)

    def is_known(self, at: datetime) -> bool:
        """Return whether the device is still known."""
        return at.timestamp() < self.expires_at


@dataclass(frozen=True, slots=True)
class GrantedTokens:
    """The tokens that a login or a refresh returns."""

    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


def _network(ip: str) -> str:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def digest_of_secret(secret: str) -> str:
    """Return a digest of 256 random bits. They can't be guessed, so the digest needs neither key nor salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _expiry(at: datetime, logged_in_at: datetime) -> int:
    return int(min(at + REFRESH_LIFETIME, logged_in_at + SESSION_LIFETIME).timestamp())
