"""Login by email and password; a second factor, where the user has one, is then asked for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor

from functions.auth.domain.codes import AUTHENTICATOR, Asked, Attempts, Challenge, Purpose
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.service import settled
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials
from functions.auth.service.sessions import Grant, Sessions


class Store(Protocol):
    """What login needs of the table."""

    def user_by_email(self, email: str) -> User | None:
        """A user by email, verified or not."""

    def challenge(self, challenge_id: str) -> Challenge | None:
        """A challenge by id."""

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        """The user's open challenge of a purpose, and the wrong codes given for it."""

    def ask_for_login(self, asked: Asked, counters: Counters, at: datetime) -> None:
        """Writes the challenge of a login whose password was right. Raises Stale, as where they ask for a wait."""


@dataclass(frozen=True, slots=True)
class Challenged:
    """The password was right; now one of `methods` has to answer the challenge."""

    challenge_id: str
    methods: tuple[str, ...]


class Login:
    """Who comes back."""

    def __init__(self, store: Store, credentials: Credentials, codes: Codes, sessions: Sessions, now: Clock) -> None:
        self._store = store
        self._credentials = credentials
        self._codes = codes
        self._sessions = sessions
        self._now = now

    def login(self, email: str, password: str, actor: Actor) -> Grant | Challenged:
        """A new session, or a challenge. An unknown email and a wrong password look and cost the same.

        Raises Problem `invalid_credentials`, `account_suspended` (after the right password only) and `rate_limited`.
        """
        user = self._store.user_by_email(email)
        counters = self._credentials.check(email, user, password, actor)
        # An unknown email has been refused by now.
        assert user is not None
        return settled(lambda: self._enter(user, counters, actor))

    def _enter(self, user: User, counters: Counters, actor: Actor) -> Grant | Challenged:
        # Guesses sent at once are all compared before the first failure counts: the right one has to wait as well.
        self._credentials.check_wait(counters)
        if user.status == "suspended":
            raise Problem("account_suspended")
        if user.second_factor == "none":
            return self._sessions.open(user, actor, counters)
        attempts = self._store.attempts(user.id, "login")
        if user.second_factor == "email":
            return Challenged(self._mailed(user, attempts, counters, actor), ("email",))
        return Challenged(self._open(user, AUTHENTICATOR, attempts, counters, actor), ("totp", "recovery"))

    def _mailed(self, user: User, attempts: Attempts | None, counters: Counters, actor: Actor) -> str:
        """The id of a challenge whose code is on its way: once a minute, while it is open."""
        known = self._store.challenge(attempts.challenge_id) if attempts else None
        if (
            known is not None
            and known.is_open
            and (known.address, known.subject) == (user.email, str(user.generation))
            and known.is_fresh(self._now())
        ):
            return known.id
        return self._open(user, user.email, attempts, counters, actor)

    def _open(self, user: User, address: str, attempts: Attempts | None, counters: Counters, actor: Actor) -> str:
        now = self._now()
        challenge = self._codes.new(user.id, "login", address, now, str(user.generation))
        opened = Attempts.following(attempts, challenge)
        is_mailed = address != AUTHENTICATOR and not opened.are_spent(now)
        event = challenge.event(now, actor) if is_mailed else None
        self._store.ask_for_login(Asked(user, challenge, opened, event), counters, now)
        return challenge.id
