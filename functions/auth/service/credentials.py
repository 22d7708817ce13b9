"""Passwords as they are compared: every wrong one is counted, and too many have to wait."""

from collections.abc import Container
from typing import NamedTuple, Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event

from functions.auth.domain.throttle import Counters, Rules, Tally
from functions.auth.domain.users import User
from functions.auth.service import present, settled


class Store(Protocol):
    """What comparing passwords needs of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def tally(self, counters: Counters) -> Tally:
        """The failed logins under each counter."""

    def count_failure(self, tally: Tally, before: Tally, event: Event | None) -> None:
        """Writes one more failed login under every counter, where `before` still holds. Raises Stale."""


class Passwords(Protocol):
    """How passwords are kept and compared."""

    @property
    def common(self) -> Container[str]:
        """The commonest passwords, in lower case."""

    def digest(self, password: str) -> str:
        """A slow, salted digest."""

    def matches(self, password: str, digest: str | None) -> bool:
        """Whether the password is the one of `digest`; for None it does the same work and answers no."""


class Proven(NamedTuple):
    """A user as they were when the password was theirs, and where their failed logins count."""

    user: User
    counters: Counters


class Credentials:
    """Who knows the password."""

    def __init__(self, store: Store, passwords: Passwords, rules: Rules, now: Clock) -> None:
        self._store = store
        self._passwords = passwords
        self._rules = rules
        self._now = now

    def check(self, email: str, user: User | None, password: str, actor: Actor) -> Counters:
        """Compares a password with that of `user`, whose email this is or, being None, nobody's: this costs the same.

        Raises Problem `invalid_credentials`, and `rate_limited` without comparing.
        """
        counters = Counters.of(email, actor.ip or "")
        self.check_wait(counters)
        right = self._passwords.matches(password, user.password_hash if user else None)
        if user is None or not right:
            settled(lambda: self._count(counters, user, actor))
            raise Problem("invalid_credentials")
        return counters

    def check_wait(self, counters: Counters) -> None:
        """Raises Problem `rate_limited` where failed logins ask for a wait."""
        self._store.tally(counters).check(self._now())

    def prove(self, user_id: str, password: str, actor: Actor) -> Proven:
        """The caller, who gave their password again: a stolen token alone must not do this, nor serve to guess it.

        Raises Problem as `check`, and `unauthenticated` where they are gone.
        """
        user = present(self._store.user(user_id))
        return Proven(user, self.check(user.email, user, password, actor))

    def still(self, proven: Proven) -> User:
        """Who has proven it, as they are now. Raises Problem `invalid_credentials` where the password is another."""
        self.check_wait(proven.counters)
        user = self._store.user(proven.user.id)
        if user is None or user.password_hash != proven.user.password_hash:
            raise Problem("invalid_credentials")
        return user

    def _count(self, counters: Counters, user: User | None, actor: Actor) -> None:
        now = self._now()
        before = self._store.tally(counters)
        before.check(now)
        event = user.login_failed(now, actor) if user else None
        self._store.count_failure(before.with_one_more(now, self._rules), before, event)
