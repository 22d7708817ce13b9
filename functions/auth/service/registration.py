"""Registration: a new user, and the proof that the address is theirs."""

from collections.abc import Callable, Container
from datetime import datetime
from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event

from functions.auth.domain.codes import Attempts, Challenge, Passed, Purpose
from functions.auth.domain.passwords import check_strength
from functions.auth.domain.throttle import digest_of
from functions.auth.domain.users import User
from functions.auth.service import settled
from functions.auth.service.codes import Codes

_VERIFY: Purpose = "verify_email"


class Store(Protocol):
    """What registration needs of the table."""

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""

    def check_free(self, email: str, phone: str | None) -> None:
        """Raises Problem `email_taken` or `phone_taken`."""

    def add_user(self, user: User, challenge: Challenge, attempts: Attempts, events: tuple[Event, Event]) -> None:
        """Writes a new user with email, phone and first challenge. Raises Problem `email_taken` or `phone_taken`."""

    def revise(self, user: User, event: Event, passed: Passed | None = None) -> None:
        """Writes a changed user and uses up the code that allowed it. Raises Stale."""


class Passwords(Protocol):
    """How passwords are kept."""

    @property
    def common(self) -> Container[str]:
        """The commonest passwords, in lower case."""

    def digest(self, password: str) -> str:
        """A slow, salted digest."""


class Registration:
    """Who wants in."""

    def __init__(
        self, store: Store, codes: Codes, passwords: Passwords, now: Clock, new_id: Callable[[str, datetime], str]
    ) -> None:
        self._store = store
        self._codes = codes
        self._passwords = passwords
        self._now = now
        self._new_id = new_id

    def register(
        self, actor: Actor, *, email: str, password: str, first_name: str, last_name: str, phone: str | None
    ) -> User:
        """A new user; a code goes to `email`. Raises Problem `email_taken`, `phone_taken` or `weak_password`."""
        self._store.check_free(email, phone)
        common = self._passwords.common
        check_strength(password, common, email=email, first_name=first_name, last_name=last_name)
        digest = self._passwords.digest(password)
        now = self._now()
        user = User.new(
            self._new_id("usr", now),
            now,
            email=email,
            phone=phone,
            first_name=first_name,
            last_name=last_name,
            password_hash=digest,
        )
        challenge, attempts = self._codes.first(user.id, _VERIFY, email, now)
        events = (user.event("user.registered", now, actor), challenge.event(now, actor))
        self._store.add_user(user, challenge, attempts, events)
        return user

    def verify_email(self, actor: Actor, email: str, code: str) -> None:
        """Takes the mailed code as proof of the address. Raises Problem `invalid_code` or `code_expired`."""
        user = self._store.user_by_email(email)
        if user is None:
            raise Problem("invalid_code")

        def write(found: User, passed: Passed) -> None:
            now = self._now()
            verified = found.revised(now, email_verified=True)
            self._store.revise(verified, verified.event("user.verified", now, actor), passed)

        self._codes.redeem(user.id, _VERIFY, code, write)

    def resend(self, actor: Actor, email: str) -> None:
        """Asks for another code, where `email` is somebody's and unverified; nothing tells whether it is.

        Raises Problem `rate_limited`.
        """
        settled(lambda: self._resend(actor, email))

    def _resend(self, actor: Actor, email: str) -> None:
        user = self._store.user_by_email(email)
        waiting = user if user is not None and not user.email_verified else None
        self._codes.ask(digest_of(_VERIFY, email), waiting, _VERIFY, actor)
