"""One-time codes. A challenge says what a code is for. Wrong codes count per challenge and per user and day."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from common import clock
from common.contracts.events import Actor, Event

from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.users import User

Purpose = Literal["verify_email", "login", "reset_password", "change_email", "verify_phone", "pin_reset"]

CODE_LIFETIME_MINUTES = 10
"""How long a code is valid after its message was written."""
MAX_TRIES = 5
"""How many wrong codes a challenge allows, over all codes that were made for it."""
MAX_WRONG_CODES_PER_DAY = 10
"""How many wrong codes a user may enter for a purpose in 24 hours, over all challenges."""
RESEND_AFTER = timedelta(minutes=1)
AUTHENTICATOR = ""
"""The `address` of a challenge that is answered by the user's authenticator app: no code is sent."""
_TO_NEW_ADDRESS: tuple[Purpose, ...] = ("change_email", "verify_phone")
_DAY = timedelta(days=1)


def code_expiry(at: datetime) -> str:
    """Return when a code that is made at `at` expires."""
    return clock.timestamp(at + timedelta(minutes=CODE_LIFETIME_MINUTES))


@dataclass(frozen=True, slots=True)
class Challenge:
    """A request to enter a code. `digest` is the keyed digest of the latest code, None if no code was made yet.

    `address` is the recipient: an email address, a phone number for `verify_phone`, or AUTHENTICATOR. `subject` says
    what the purpose is about if the user alone does not: the account of a `pin_reset`; the user's `generation` for a
    `login` and for a new address. `asked` counts the requests for a code. `expires_at` (epoch seconds) is when the
    item may be deleted.
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
        """Return a challenge whose first code is requested at `at` and goes to `address`."""
        challenge = cls(id, user_id, purpose, address, 1, 0, int((at + _DAY).timestamp()), subject)
        # An app shows its code at once, so the time runs from now.
        return replace(challenge, code_expires_at=code_expiry(at)) if address == AUTHENTICATOR else challenge

    @property
    def is_open(self) -> bool:
        """Whether codes may still be made and tried."""
        return self.used_at is None and self.tries < MAX_TRIES

    def is_for(self, user: User) -> bool:
        """Return whether its codes still prove something about `user`.

        They prove nothing if the user's email has changed, or if a new address was entered in a session that has ended
        with all others.
        """
        if self.purpose in _TO_NEW_ADDRESS:
            return self.subject == str(user.generation)
        return self.address in (user.email, AUTHENTICATOR)

    def is_fresh(self, at: datetime) -> bool:
        """Return whether the last code was requested less than a minute ago."""
        return at.timestamp() < self.expires_at - (_DAY - RESEND_AFTER).total_seconds()

    def requested_again(self, at: datetime) -> "Challenge":
        """Return the challenge after another code is requested. The tries stay."""
        return replace(self, asked=self.asked + 1, expires_at=int((at + _DAY).timestamp()))

    def used(self, at: datetime) -> "Challenge":
        """Return the challenge after its correct code was entered. No other code is accepted then."""
        return replace(self, used_at=clock.timestamp(at))

    def has_expired(self, at: datetime) -> bool:
        """Return whether the latest code has expired; False if no code was made yet."""
        return self.code_expires_at is not None and clock.timestamp(at) >= self.code_expires_at

    def event(self, at: datetime, actor: Actor) -> Event:
        """Return the event that a code must be sent. The code itself is made when its message is written."""
        data = {"challenge_id": self.id, "user_id": self.user_id, "purpose": self.purpose}
        return Event.new("code.requested", self.id, self.asked, at, data, actor)


@dataclass(frozen=True, slots=True)
class Attempts:
    """The open challenge of a user for a purpose, and the times of wrong codes for it and for earlier ones.

    `version` increases with every change, so that a decision based on an outdated count fails. `device` is the digest
    of a known device that has attempts of its own, which strangers can't use up.
    """

    user_id: str
    purpose: Purpose
    challenge_id: str
    wrong: tuple[str, ...] = ()
    version: int = 1
    device: str = ""

    @classmethod
    def opening(cls, challenge: Challenge, previous: "Attempts | None", device: str = "") -> "Attempts":
        """Return the attempts with `challenge` as the open one. Earlier wrong codes of the day still count."""
        if previous is None:
            return cls(challenge.user_id, challenge.purpose, challenge.id, device=device)
        return replace(previous, challenge_id=challenge.id, version=previous.version + 1)

    def are_exhausted(self, at: datetime) -> bool:
        """Return whether the limit of 24 hours is reached."""
        return len(self._recent(at)) >= MAX_WRONG_CODES_PER_DAY

    def with_wrong_code(self, at: datetime) -> "Attempts":
        """Return the attempts after a wrong code at `at`."""
        return replace(self, wrong=(*self._recent(at), clock.timestamp(at)), version=self.version + 1)

    def with_correct_code(self) -> "Attempts":
        """Return the attempts after a correct code, which does not count."""
        return replace(self, version=self.version + 1)

    def _recent(self, at: datetime) -> tuple[str, ...]:
        return tuple(moment for moment in self.wrong if moment > clock.timestamp(at - _DAY))


class CodeRequest(NamedTuple):
    """A challenge of `user` for which a code is requested, to be written.

    `attempts` is set if the challenge is new, `event` if a message must be sent.
    """

    user: User
    challenge: Challenge
    attempts: Attempts | None
    event: Event | None


class UsedCode(NamedTuple):
    """The effect of a correct code, to be written in one transaction with what the code allows.

    `authenticator` is set if the code came from an authenticator app or was a recovery code.
    """

    challenge: Challenge
    attempts: Attempts
    authenticator: Authenticator | None = None


@dataclass(frozen=True, slots=True)
class LoginChallenge:
    """The password was correct. One of `methods` must answer the challenge next."""

    challenge_id: str
    methods: tuple[str, ...]
