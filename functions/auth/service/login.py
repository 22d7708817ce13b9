"""Login by email and password."""

from datetime import datetime
from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event

from functions.auth.domain.throttle import Failures, digest_of
from functions.auth.domain.users import User
from functions.auth.service import settled
from functions.auth.service.sessions import Grant, Sessions


class Store(Protocol):
    """What login needs of the table."""

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""

    def failures(self, key: str) -> Failures:
        """The failed logins counted under `key`."""

    def count_failure(self, failures: Failures, before: Failures, event: Event | None) -> None:
        """Writes one more failed login, where `before` still holds. Raises Stale."""


class Passwords(Protocol):
    """How passwords are compared."""

    def matches(self, password: str, digest: str | None) -> bool:
        """Whether the password is the one of `digest`; for None it does the same work and answers no."""


class Login:
    """Who comes back."""

    def __init__(self, store: Store, sessions: Sessions, passwords: Passwords, now: Clock) -> None:
        self._store = store
        self._sessions = sessions
        self._passwords = passwords
        self._now = now

    def login(self, email: str, password: str, actor: Actor) -> Grant:
        """A new session. An unknown email and a wrong password look and cost the same.

        Raises Problem `invalid_credentials`, `account_suspended` (after the right password only) and `rate_limited`.
        """
        key = digest_of("login", email, actor.ip or "")
        self._store.failures(key).check(self._now())
        user = self._store.user_by_email(email)
        right = self._passwords.matches(password, user.password_hash if user else None)
        if user is None or not right:
            settled(lambda: self._count_failure(key, user, actor))
            raise Problem("invalid_credentials")
        if user.status == "suspended":
            raise Problem("account_suspended")
        return settled(lambda: self._open(user, actor, key))

    def _open(self, user: User, actor: Actor, key: str) -> Grant:
        # Guesses sent at once are all compared before the first failure counts: the right one has to wait as well.
        self._store.failures(key).check(self._now())
        return self._sessions.open(user, actor, key)

    def _count_failure(self, key: str, user: User | None, actor: Actor) -> None:
        now = self._now()
        before = self._store.failures(key)
        before.check(now)
        self._store.count_failure(before.with_one_more(now), before, _failed(user, actor, now))


def _failed(user: User | None, actor: Actor, at: datetime) -> Event | None:
    if user is None:
        return None
    return Event.new("user.login_failed", user.id, int(at.timestamp() * 1000), at, {"user_id": user.id}, actor)
