"""The second step of a login: a mailed code, one of an authenticator app, or a recovery code."""

from dataclasses import replace
from typing import Literal, Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor

from functions.auth.domain.codes import AUTHENTICATOR, Attempts, Challenge, Passed, Purpose
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.service import settled
from functions.auth.service.authenticators import Authenticators
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials
from functions.auth.service.sessions import Grant, Sessions


class Store(Protocol):
    """What the second step needs of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def challenge(self, challenge_id: str) -> Challenge | None:
        """A challenge by id."""

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        """The user's open challenge of a purpose, and the wrong codes given for it."""


class SecondFactor:
    """Who has more than the password."""

    def __init__(
        self,
        store: Store,
        codes: Codes,
        authenticators: Authenticators,
        credentials: Credentials,
        sessions: Sessions,
        now: Clock,
    ) -> None:
        self._store = store
        self._codes = codes
        self._authenticators = authenticators
        self._credentials = credentials
        self._sessions = sessions
        self._now = now

    def verify(self, challenge_id: str, code: str, actor: Actor) -> Grant:
        """A new session for whoever answers a login's challenge.

        Raises Problem `invalid_code`, `code_expired`, `rate_limited`; `account_suspended` and `invalid_credentials`
        where the user was suspended, or changed password or second factor, since the password was given.
        """
        return settled(lambda: self._verify(challenge_id, code, actor))

    def _verify(self, challenge_id: str, code: str, actor: Actor) -> Grant:
        challenge = self._store.challenge(challenge_id)
        user = self._store.user(challenge.user_id) if challenge else None
        if challenge is None or challenge.purpose != "login" or user is None:
            raise Problem("invalid_code")
        passed = self._passed(user, challenge, code, actor)
        if user.status == "suspended":
            raise Problem("account_suspended")
        counters = Counters.of(user.email, actor.ip or "")
        self._credentials.check_wait(counters)
        # As they were when they gave the password: another generation or factor since then is refused.
        factor: Literal["totp", "email"] = "totp" if challenge.address == AUTHENTICATOR else "email"
        proven = replace(user, generation=int(challenge.subject or 0), second_factor=factor)
        return self._sessions.open(proven, actor, counters, passed)

    def _passed(self, user: User, challenge: Challenge, code: str, actor: Actor) -> Passed:
        attempts = self._store.attempts(user.id, "login")
        authenticator = None
        if challenge.address == AUTHENTICATOR:
            authenticator = self._authenticators.after(user, code, self._now())
            right = authenticator is not None
        else:
            right = self._codes.matches(challenge, code)
        passed = self._codes.judge(
            user, challenge, attempts, right=right, failed=lambda at: user.login_failed(at, actor)
        )
        return passed._replace(authenticator=authenticator)
