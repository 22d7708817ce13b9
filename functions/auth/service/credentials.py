"""Checking passwords. Every wrong password counts, and too many cause a wait."""

from collections.abc import Container, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from common.clock import Clock
from common.contracts.events import SYSTEM, Actor
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.sessions import Device
from functions.auth.domain.throttle import CounterKeys, ThrottleRule, ThrottleRules, address_key
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, NOBODY, signed_in_user

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class PasswordHasher(Protocol):
    """Hashing and comparing passwords."""

    @property
    def common(self) -> Container[str]:
        """The most common passwords, in lower case."""

    def digest(self, password: str) -> str:
        """Return a slow, salted hash."""

    def matches(self, password: str, digest: str | None) -> bool:
        """Return whether the password has this hash. For None it does the same work and returns False."""


class PasswordProof(NamedTuple):
    """A user who entered the correct password, as they were then, and where their failed logins count."""

    user: User
    counter_keys: CounterKeys


class Credentials:
    """The passwords of users, with the limit on guesses."""

    def __init__(self, store: "AuthStore", passwords: PasswordHasher, rules: ThrottleRules, now: Clock) -> None:
        self._store = store
        self._passwords = passwords
        self._rules = rules
        self._now = now

    def check(self, email: str, user: User | None, password: str, actor: Actor) -> CounterKeys:
        """Check the password of `user`, who has this email. A `user` of None takes the same time.

        Raises Refusal `invalid_credentials`, and `rate_limited` without comparing.
        """
        keys = self.counter_keys(email, user, actor)
        self.check_wait(keys)
        correct = self._passwords.matches(password, user.password_hash if user else None)
        if user is None or not correct:
            retry_on_conflict(lambda: self._count_failure(keys, self._rules, user, actor), attempts=ATTEMPTS)
            raise Refusal("invalid_credentials")
        return keys

    def known_device(self, user: User | None, actor: Actor) -> Device | None:
        """Return the actor's device if the user logged in from it since their last reset, in the last 90 days.

        A user of None does the same work.
        """
        now = self._now()
        device = Device.of(user.id if user else NOBODY, now, actor, user.generation if user else 0)
        return device if self._store.is_trusted_device(device, now) else None

    def counter_keys(self, email: str, user: User | None, actor: Actor) -> CounterKeys:
        """Return where the failures of an actor count who says that they are the user with this email.

        A known device of the user counts by itself, so that strangers can't lock the user out.
        """
        device = self.known_device(user, actor)
        return CounterKeys.of_device(device) if device else CounterKeys.of(email, actor.ip or "")

    def check_wait(self, keys: Iterable[str]) -> None:
        """Raise Refusal `rate_limited` if failures under `keys` require a wait."""
        self._store.login_failures(keys).check(self._now())

    def count_wrong_code(self, address: str) -> None:
        """Count a wrong code for an unknown or another user against an IP address. Raises Refusal `rate_limited`."""
        keys, rules = (address_key(address),), (self._rules.address,)
        retry_on_conflict(lambda: self._count_failure(keys, rules, None, SYSTEM), attempts=ATTEMPTS)

    def reauthenticate(self, user_id: str, password: str, actor: Actor) -> PasswordProof:
        """Check the caller's password again: a stolen token alone must not be enough, nor help to guess the password.

        Raises Refusal as `check`, and `unauthenticated` if the caller was deleted.
        """
        user = signed_in_user(self._store.user(user_id))
        return PasswordProof(user, self.check(user.email, user, password, actor))

    def recheck(self, proof: PasswordProof) -> User:
        """Return the user of a proof as they are now.

        Raises Refusal `invalid_credentials` if the password has changed, and `rate_limited`.
        """
        self.check_wait(proof.counter_keys)
        user = self._store.user(proof.user.id)
        if user is None or user.password_hash != proof.user.password_hash:
            raise Refusal("invalid_credentials")
        return user

    def _count_failure(
        self, keys: Iterable[str], rules: Iterable[ThrottleRule], user: User | None, actor: Actor
    ) -> None:
        now = self._now()
        before = self._store.login_failures(keys)
        before.check(now)
        event = user.login_failed_event(now, actor) if user else None
        self._store.count_failure(before.incremented(now, rules), before, event)
