"""The second step of a login: a mailed code, a code of an authenticator app, or a recovery code."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from common.clock import Clock
from common.contracts.events import Actor
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.codes import AUTHENTICATOR, Challenge, UsedCode
from functions.auth.domain.sessions import GrantedTokens
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS
from functions.auth.service.authenticators import Authenticators
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials
from functions.auth.service.sessions import Sessions

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class SecondFactor:
    """The answers to login challenges."""

    def __init__(
        self,
        store: "AuthStore",
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

    def verify(self, challenge_id: str, code: str, actor: Actor) -> GrantedTokens:
        """Return the tokens of a new session, given the code for the challenge of a login.

        Raises Refusal `invalid_code`, `code_expired` or `rate_limited`; `account_suspended` if the user was suspended
        since the first step, and `invalid_credentials` if their password or second factor has changed since.
        """
        return retry_on_conflict(lambda: self._verify(challenge_id, code, actor), attempts=ATTEMPTS)

    def _verify(self, challenge_id: str, code: str, actor: Actor) -> GrantedTokens:
        challenge = self._store.challenge(challenge_id)
        user = self._store.user(challenge.user_id) if challenge else None
        if challenge is None or challenge.purpose != "login" or user is None:
            raise Refusal("invalid_code")
        used = self._used(user, challenge, code, actor)
        if user.status == "suspended":
            raise Refusal("account_suspended")
        keys = self._credentials.counter_keys(user.email, user, actor)
        self._credentials.check_wait(keys)
        # The user as they were when they entered the password: another generation or factor since then is refused.
        factor: Literal["totp", "email"] = "totp" if challenge.address == AUTHENTICATOR else "email"
        authenticated = replace(user, generation=int(challenge.subject or 0), second_factor=factor)
        return self._sessions.open(authenticated, actor, keys, used)

    def _used(self, user: User, challenge: Challenge, code: str, actor: Actor) -> UsedCode:
        attempts = self._store.attempts(user.id, "login")
        authenticator = None
        if challenge.address == AUTHENTICATOR:
            authenticator = self._authenticators.after(user, code, self._now())
            correct = authenticator is not None
        else:
            correct = self._codes.matches(challenge, code)
        used = self._codes.evaluate(
            user, challenge, attempts, correct=correct, failed=lambda at: user.login_failed_event(at, actor)
        )
        return used._replace(authenticator=authenticator)
