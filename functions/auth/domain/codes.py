"""One-time codes: a challenge is what a code is for; its tries are counted there and, over a day, beside the user."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from common import clock
from common.events import Actor, Event

Purpose = Literal["verify_email", "login", "reset_password", "change_email", "verify_phone", "pin_reset"]

MINUTES = 10
"""How long a code is good, from when its mail was written."""
TRIES = 5
"""How often a challenge may be tried, over all its codes."""
WRONG_A_DAY = 10
"""How many wrong codes a user may give for a purpose in 24 hours, over all challenges."""
RESEND_AFTER = timedelta(minutes=1)
_DAY = timedelta(days=1)


def code_expiry(at: datetime) -> str:
    """Until when a code minted at `at` is good."""
    return clock.timestamp(at + timedelta(minutes=MINUTES))


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a code is asked for. `digest` is the keyed digest of the last code minted, None before the first.

    `address` is where the code goes: an email address, or a phone number for `verify_phone`. `subject` is what the
    purpose is about where the user alone does not say it: the account of a `pin_reset`. `asked` counts how often a
    code was asked for; `expires_at` (epoch seconds) is when the item itself may go.
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
    def new(cls, id: str, user_id: str, purpose: Purpose, address: str, at: datetime) -> "Challenge":
        """A challenge whose first code is asked for at `at` and goes to `address`."""
        return cls(id, user_id, purpose, address, asked=1, tries=0, expires_at=int((at + _DAY).timestamp()))

    @property
    def is_open(self) -> bool:
        """Whether a code for it may still be minted or tried."""
        return self.used_at is None and self.tries < TRIES

    def asked_again(self, at: datetime) -> "Challenge":
        """The challenge once another code is asked for; its tries stay."""
        return replace(self, asked=self.asked + 1, expires_at=int((at + _DAY).timestamp()))

    def used(self, at: datetime) -> "Challenge":
        """The challenge once its code was given in time; no other code opens it."""
        return replace(self, used_at=clock.timestamp(at))

    def has_expired(self, at: datetime) -> bool:
        """Whether the last code's time is over."""
        return self.code_expires_at is None or clock.timestamp(at) >= self.code_expires_at

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

    def are_spent(self, at: datetime) -> bool:
        """Whether no further try is allowed within the running 24 hours."""
        return len(self._recent(at)) >= WRONG_A_DAY

    def counted(self, at: datetime) -> "Attempts":
        """With one more try at `at`, wrong until it proves right."""
        return replace(self, wrong=(*self._recent(at), clock.timestamp(at)), version=self.version + 1)

    def forgiven(self, at: datetime) -> "Attempts":
        """Without the try at `at`, which was right."""
        wrong = list(self.wrong)
        wrong.remove(clock.timestamp(at))
        return replace(self, wrong=tuple(wrong), version=self.version + 1)

    def moved_to(self, challenge_id: str) -> "Attempts":
        """With a new challenge open; the day's wrong codes still count."""
        return replace(self, challenge_id=challenge_id, version=self.version + 1)

    def _recent(self, at: datetime) -> tuple[str, ...]:
        return tuple(moment for moment in self.wrong if moment > clock.timestamp(at - _DAY))
