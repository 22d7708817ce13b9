"""Another password, for who knows the one before or reads the user's mail."""

from datetime import datetime
from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event

from functions.auth.domain.codes import Passed, Purpose
from functions.auth.domain.passwords import check_common, check_own, check_strength
from functions.auth.domain.sessions import Session
from functions.auth.domain.throttle import Counters, digest_of
from functions.auth.domain.users import User
from functions.auth.service import settled
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials, Passwords, Proven

_RESET: Purpose = "reset_password"


class Store(Protocol):
    """What changing passwords needs of the table."""

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""

    def session(self, user_id: str, session_id: str) -> Session | None:
        """A session of a user."""

    def change_password(self, user: User, event: Event, session_id: str, counters: Counters) -> None:
        """Writes the user with another password and takes one session along. Raises Stale."""

    def revise(self, user: User, event: Event, passed: Passed | None = None) -> None:
        """Writes a changed user and, where a code allowed it, uses that up. Raises Stale."""


class PasswordChanges:
    """How passwords change. That ends sessions: it raises the user's generation."""

    def __init__(self, store: Store, codes: Codes, credentials: Credentials, passwords: Passwords, now: Clock) -> None:
        self._store = store
        self._codes = codes
        self._credentials = credentials
        self._passwords = passwords
        self._now = now

    def change(self, actor: Actor, user_id: str, session_id: str, current: str, new: str) -> None:
        """Another password, given the current one; every session ends but the caller's.

        Raises Problem `invalid_credentials`, `rate_limited`, `weak_password`, and `unauthenticated`.
        """
        proven = self._credentials.prove(user_id, current, actor)
        # Of guesses sent at once, not even that the new password is weak tells the right one.
        self._credentials.check_wait(proven.counters)
        names = (proven.user.first_name, proven.user.last_name)
        check_strength(new, self._passwords.common, proven.user.email, *names)
        digest = self._passwords.digest(new)
        settled(lambda: self._change(actor, proven, session_id, digest))

    def _change(self, actor: Actor, proven: Proven, session_id: str, digest: str) -> None:
        user = self._credentials.still(proven)
        session = self._store.session(user.id, session_id)
        now = self._now()
        if session is None or not session.is_live(now, user):
            raise Problem("unauthenticated")
        revised = user.revised(now, password_hash=digest, generation=user.generation + 1)
        self._store.change_password(revised, _changed(revised, now, actor), session_id, proven.counters)

    def forgot(self, actor: Actor, email: str) -> None:
        """Asks for a code, where `email` is somebody's; nothing tells whether it is, or was asked for a moment ago."""
        try:
            settled(lambda: self._forgot(actor, email))
        except Problem as refusal:
            if refusal.code != "rate_limited":
                raise

    def _forgot(self, actor: Actor, email: str) -> None:
        self._codes.ask(digest_of(_RESET, email), self._store.user_by_email(email), _RESET, actor)

    def reset(self, actor: Actor, email: str, code: str, new: str) -> None:
        """Another password, given the mailed code; every session ends.

        Raises Problem `weak_password`, `invalid_code` and `code_expired`.
        """
        # Before the code is tried: what everybody may know of a password must not cost a try.
        check_common(new, self._passwords.common)
        user = self._store.user_by_email(email)
        if user is None:
            raise Problem("invalid_code")
        digests: list[str] = []

        def write(found: User, passed: Passed) -> None:
            # Only now: whoever has no code is not told what the user is called.
            check_own(new, found.email, found.first_name, found.last_name)
            if not digests:
                digests.append(self._passwords.digest(new))
            now = self._now()
            revised = found.revised(now, password_hash=digests[0], generation=found.generation + 1)
            self._store.revise(revised, _changed(revised, now, actor), passed)

        self._codes.redeem(user.id, _RESET, code, write)


def _changed(user: User, at: datetime, actor: Actor) -> Event:
    return user.event("user.password_changed", at, actor, ("password",))
