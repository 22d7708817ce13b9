"""Proving again in a session who one is, before changes of who can get in or take everything away."""

from datetime import datetime
from typing import TYPE_CHECKING

from common.clock import Clock
from common.contracts.events import Actor
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import Attempts, UsedCode
from functions.auth.domain.sessions import GrantedTokens
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, live_session
from functions.auth.service.authenticators import Authenticators
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials, PasswordProof
from functions.auth.service.login import Login
from functions.auth.service.sessions import Sessions

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class Reauthentication:
    """Logins within a session. Failures count with those of logins."""

    def __init__(
        self,
        store: "AuthStore",
        credentials: Credentials,
        login: Login,
        codes: Codes,
        authenticators: Authenticators,
        sessions: Sessions,
        now: Clock,
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._login = login
        self._codes = codes
        self._authenticators = authenticators
        self._sessions = sessions
        self._now = now

    def reauthenticate(
        self, actor: Actor, user_id: str, session_id: str, password: str, code: str | None
    ) -> GrantedTokens | None:
        """Return new tokens of the session with a fresh `auth_time`, or None if a code was mailed.

        A user with a second factor gives a code: of their app, a recovery code, or the mailed one.
        Raises Refusal `invalid_credentials`, `rate_limited`, `invalid_code` or `code_expired`, and `unauthenticated`
        if the session has ended.
        """
        proof = self._credentials.reauthenticate(user_id, password, actor)
        return retry_on_conflict(lambda: self._reauthenticate(actor, proof, session_id, code), attempts=ATTEMPTS)

    def _reauthenticate(
        self, actor: Actor, proof: PasswordProof, session_id: str, code: str | None
    ) -> GrantedTokens | None:
        user, now = self._credentials.recheck(proof), self._now()
        session = live_session(self._store.session(user.id, session_id), user, now)
        keys = proof.counter_keys
        if not user.has_second_factor:
            return self._sessions.reauthenticate(user, session, actor, keys, None, None, None)
        attempts = self._store.attempts(user.id, "login")
        if code is None:
            self._login.mail_code(user, attempts, keys, actor)
            return None
        effect = self._effect(user, attempts or Attempts(user.id, "login", "", version=0), code, actor, now)
        return self._sessions.reauthenticate(user, session, actor, keys, *effect)

    def _effect(
        self, user: User, attempts: Attempts, code: str, actor: Actor, at: datetime
    ) -> tuple[UsedCode | None, Attempts | None, Authenticator | None]:
        """Return the effect of a correct code. Any other counts, with those of the user's logins."""
        if attempts.are_exhausted(at):
            raise Refusal("invalid_code")
        authenticator = self._authenticators.after(user, code, at)
        if authenticator is not None:
            return None, attempts.with_correct_code(), authenticator
        challenge = self._store.challenge(attempts.challenge_id) if attempts.challenge_id else None
        mailed = (user.email, str(user.generation))
        if challenge is not None and challenge.is_open and (challenge.address, challenge.subject) == mailed:
            correct = self._codes.matches(challenge, code)
            used = self._codes.evaluate(
                user, challenge, attempts, correct=correct, failed=lambda now: user.login_failed_event(now, actor)
            )
            return used, None, None
        self._store.count_wrong_code(None, attempts.with_wrong_code(at), user.login_failed_event(at, actor))
        raise Refusal("invalid_code")
