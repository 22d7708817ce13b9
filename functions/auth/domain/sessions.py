"""Sessions, the refresh tokens that carry them on, and the claims of access tokens."""

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from common import clock, ids
from common.events import Actor, Event

from functions.auth.domain.users import User

ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=30)
REUSE_GRACE = timedelta(seconds=10)
"""Two tabs may send one refresh token; only what comes later than this is taken for theft."""
DEVICE_MEMORY = timedelta(days=90)
SCOPES = ("read", "write", "payments")

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good access token says, as of when it was issued, or what an API key allows.

    `session_id` is the key's id for a key, and `expires_at` (RFC 3339) is then empty.
    """

    user_id: str
    session_id: str
    role: str
    scopes: tuple[str, ...]
    email_verified: bool
    expires_at: str


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

    `generation` is the user's when it was opened: it lives only while it still is. `expires_at` (epoch seconds) is when
    the current refresh token dies, and the session with it. `used` is when tokens were used whose grace lasts yet, by
    digest: a thief who goes on rotating must not keep the grace of the stolen one alive.
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

    @classmethod
    def new(cls, token: RefreshToken, generation: int, at: datetime, actor: Actor) -> "Session":
        """The session that a login opens, with its first refresh token."""
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
            expires_at=_expiry(at),
            generation=generation,
        )

    def is_live(self, at: datetime, user: User) -> bool:
        """Whether it has neither ended nor expired, and `user`, whose it is, is active and has not ended them all."""
        return (
            self.ended_at is None
            and at.timestamp() < self.expires_at
            and user.status == "active"
            and self.generation == user.generation
        )

    def owns(self, token: RefreshToken) -> bool:
        """Whether `token` is or once was a refresh token of this session, and no guess from its public ids."""
        return hmac.compare_digest(digest_of_secret(token.family), self.family)

    def judge(self, token: RefreshToken, user: User, at: datetime) -> Literal["rotate", "refuse", "end"]:
        """What using `token` now leads to: the next token, a plain no, or a no that ends the session for theft."""
        if not self.is_live(at, user) or not self.owns(token):
            return "refuse"
        if hmac.compare_digest(digest_of_secret(token.secret), self.current):
            return "rotate"
        moment = self.used.get(digest_of_secret(token.secret))
        return "refuse" if moment is not None and at - clock.parse(moment) <= REUSE_GRACE else "end"

    def rotated(self, token: RefreshToken, at: datetime, actor: Actor) -> "Session":
        """The session with `token` as its current one."""
        since = clock.timestamp(at - REUSE_GRACE)
        used = {digest: moment for digest, moment in self.used.items() if moment >= since}
        return replace(
            self,
            current=digest_of_secret(token.secret),
            rotated_at=clock.timestamp(at),
            ip=actor.ip or "",
            expires_at=_expiry(at),
            used={**used, self.current: clock.timestamp(at)},
        )

    def login_event(self, at: datetime, actor: Actor, *, new_device: bool) -> Event:
        """The event of the login that opened it; `new_device` where no earlier login came from this device."""
        who = replace(actor, user_id=self.user_id, session_id=self.id)
        data = {"user_id": self.user_id, "new_device": new_device, "device": self.device}
        return Event.new("user.login", self.id, 1, at, data, who)


@dataclass(frozen=True, slots=True)
class Device:
    """Where a user once signed in from: a digest of user agent and network, forgotten at `expires_at` (epoch seconds).

    The network is the address's /24 or, of IPv6, /48: what a provider moves a customer around in.
    """

    user_id: str
    digest: str
    expires_at: int

    @classmethod
    def of(cls, user_id: str, at: datetime, actor: Actor) -> "Device":
        """The device that `actor` uses, known for 90 days from `at`."""
        digest = digest_of_secret(f"{actor.user_agent or ''}\n{_network(actor.ip or '')}")
        return cls(user_id, digest, int((at + DEVICE_MEMORY).timestamp()))

    def is_known(self, at: datetime) -> bool:
        """Whether it is still remembered."""
        return at.timestamp() < self.expires_at


def _network(ip: str) -> str:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def digest_of_secret(secret: str) -> str:
    """A digest of 256 random bits, which can't be guessed from it: no key and no salt are needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _expiry(at: datetime) -> int:
    return int((at + REFRESH_LIFETIME).timestamp())
