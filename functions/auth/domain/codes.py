"""One-time codes: a challenge is what a code is for; its tries are counted there and, over a day, beside the user."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from common import clock
from common.events import Actor, Event

from functions.auth.domain.users import User

if TYPE_CHECKING:
    from functions.auth.domain.authenticators import Authenticator

Purpose = Literal["verify_email", "login", "reset_password", "change_email", "verify_phone", "pin_reset"]

MINUTES = 10
"""How long a code is good, from when its mail was written."""
TRIES = 5
"""How often a challenge may be tried, over all its codes."""
WRONG_A_DAY = 10
"""How many wrong codes a user may give for a purpose in 24 hours, over all challenges."""
RESEND_AFTER = timedelta(minutes=1)
AUTHENTICATOR = ""
"""Where the codes of a challenge "go" that the user's own authenticator app answers: nowhere."""
_TO_NEW_ADDRESS: tuple[Purpose, ...] = ("change_email", "verify_phone")
_DAY = timedelta(days=1)


def code_expiry(at: datetime) -> str:
    """Until when a code minted at `at` is good."""
    return clock.timestamp(at + timedelta(minutes=MINUTES))


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a code is asked for. `digest` is the keyed digest of the last code minted, None before the first.

    `address` is where the code goes: an email address, a phone number for `verify_phone`, or AUTHENTICATOR. `subject`
    is what the purpose is about where the user alone does not say it: the account of a `pin_reset`, the user's
    `generation` for a `login` and for another address. `asked` counts how often a code was asked for; `expires_at`
    (epoch seconds) is when the item itself may go.
    """

    id: str
    user_id: str
    purpose: Purpose
    address: str
    asked: int
    tries: int
    expires_at: int
    subject: str | None = None
    digest: str | None = field(default=None, repr=False)
    code_expires_at: str | None = None
    used_at: str | None = None

    @classmethod
    def new(
        cls, id: str, user_id: str, purpose: Purpose, address: str, at: datetime, subject: str | None = None
    ) -> "Challenge":
        """A challenge whose first code is asked for at `at` and goes to `address`."""
        challenge = cls(id, user_id, purpose, address, 1, 0, int((at + _DAY).timestamp()), subject)
        # An app has its code at once: the time runs from now.
        return replace(challenge, code_expires_at=code_expiry(at)) if address == AUTHENTICATOR else challenge

    @property
    def is_open(self) -> bool:
        """Whether a code for it may still be minted or tried."""
        return self.used_at is None and self.tries < TRIES

    def is_for(self, user: User) -> bool:
        """Whether its codes go where `user` is to be reached: an address that is theirs no more proves nothing, nor
        does a new one that was asked for in a session that they have ended with all others."""
        if self.purpose in _TO_NEW_ADDRESS:
            return self.subject == str(user.generation)
        return self.address in (user.email, AUTHENTICATOR)

    def is_fresh(self, at: datetime) -> bool:
        """Whether its last code was asked for less than a minute ago."""
        return at.timestamp() < self.expires_at - (_DAY - RESEND_AFTER).total_seconds()

    def asked_again(self, at: datetime) -> "Challenge":
        """The challenge once another code is asked for; its tries stay."""
        return replace(self, asked=self.asked + 1, expires_at=int((at + _DAY).timestamp()))

    def used(self, at: datetime) -> "Challenge":
        """The challenge once its code was given in time; no other code opens it."""
        return replace(self, used_at=clock.timestamp(at))

    def has_expired(self, at: datetime) -> bool:
        """Whether the last code's time is over; before there is one, it is not."""
        return self.code_expires_at is not None and clock.timestamp(at) >= self.code_expires_at

    def event(self, at: datetime, actor: Actor) -> Event:
        """The event that a code has to be mailed. It carries no code: that is minted when the mail is written."""
        data = {"challenge_id": self.id, "user_id": self.user_id, "purpose": self.purpose}
        return Event.new("code.requested", self.id, self.asked, at, data, actor)


@dataclass(frozen=True, slots=True)
class Attempts:
    """A user's open challenge of a purpose, and when wrong codes were given for it or those before it.

    Every change ascends `version`, so that a decision made on a stale count is refused.
    """

    user_id: str
    purpose: Purpose
    challenge_id: str
    wrong: tuple[str, ...] = ()
    version: int = 1

    @classmethod
    def following(cls, known: "Attempts | None", challenge: Challenge) -> "Attempts":
        """With a new challenge open, after what is known of those before it; the day's wrong codes still count."""
        if known is None:
            return cls(challenge.user_id, challenge.purpose, challenge.id)
        return replace(known, challenge_id=challenge.id, version=known.version + 1)

    def are_spent(self, at: datetime) -> bool:
        """Whether no further try is allowed within the running 24 hours."""
        return len(self._recent(at)) >= WRONG_A_DAY

    def counted(self, at: datetime) -> "Attempts":
        """With one more try at `at`, wrong until it proves right."""
        return replace(self, wrong=(*self._recent(at), clock.timestamp(at)), version=self.version + 1)

    def passed(self) -> "Attempts":
        """After a right try, which does not count."""
        return replace(self, version=self.version + 1)

    def _recent(self, at: datetime) -> tuple[str, ...]:
        return tuple(moment for moment in self.wrong if moment > clock.timestamp(at - _DAY))


class Asked(NamedTuple):
    """A challenge of `user` that a code is asked for; `attempts` where that made it the open one, and the event to tell
    where a message is to go out."""

    user: User
    challenge: Challenge
    attempts: Attempts | None
    event: Event | None


class Passed(NamedTuple):
    """A challenge as a right code uses it up, to be written with what the code allows; and the authenticator after it,
    where the code was one of its."""

    challenge: Challenge
    attempts: Attempts
    authenticator: "Authenticator | None" = None
