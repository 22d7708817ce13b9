"""Login by email and password. A user with a second factor gets a challenge."""

from typing import TYPE_CHECKING

from common.clock import Clock
from common.contracts.events import Actor
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.codes import AUTHENTICATOR, Attempts, CodeRequest, LoginChallenge
from functions.auth.domain.sessions import GrantedTokens
from functions.auth.domain.throttle import CounterKeys
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials
from functions.auth.service.sessions import Sessions

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class Login:
    """The first step of a login."""

    def __init__(
        self, store: "AuthStore", credentials: Credentials, codes: Codes, sessions: Sessions, now: Clock
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._codes = codes
        self._sessions = sessions
        self._now = now

    def login(self, email: str, password: str, actor: Actor) -> GrantedTokens | LoginChallenge:
        """Return the tokens of a new session, or a challenge. An unknown email looks like a wrong password.

        Raises Refusal `invalid_credentials` or `rate_limited`, and `account_suspended` after the correct password.
        """
        user = self._store.user_by_email(email)
        keys = self._credentials.check(email, user, password, actor)
        # check refuses an unknown email.
        assert user is not None
        return retry_on_conflict(lambda: self._login(user, keys, actor), attempts=ATTEMPTS)

    def _login(self, user: User, keys: CounterKeys, actor: Actor) -> GrantedTokens | LoginChallenge:
        # Parallel guesses are all compared before the first failure counts: the correct one has to wait as well.
        self._credentials.check_wait(keys)
        if user.status == "suspended":
            raise Refusal("account_suspended")
        if user.second_factor == "none":
            return self._sessions.open(user, actor, keys)
        attempts = self._store.attempts(user.id, "login")
        if user.second_factor == "email":
            return LoginChallenge(self.mail_code(user, attempts, keys, actor), ("email",))
        challenge_id = self._new_challenge(user, AUTHENTICATOR, attempts, keys, actor)
        return LoginChallenge(challenge_id, ("totp", "recovery"))

    def mail_code(self, user: User, attempts: Attempts | None, keys: CounterKeys, actor: Actor) -> str:
        """Return the id of a challenge whose code is mailed, at most once a minute while the challenge is open."""
        known = self._store.challenge(attempts.challenge_id) if attempts else None
        if (
            known is not None
            and known.is_open
            and (known.address, known.subject) == (user.email, str(user.generation))
            and known.is_fresh(self._now())
        ):
            return known.id
        return self._new_challenge(user, user.email, attempts, keys, actor)

    def _new_challenge(
        self, user: User, address: str, attempts: Attempts | None, keys: CounterKeys, actor: Actor
    ) -> str:
        now = self._now()
        challenge = self._codes.new_challenge(user.id, "login", address, now, str(user.generation))
        opened = Attempts.opening(challenge, attempts)
        is_mailed = address != AUTHENTICATOR and not opened.are_exhausted(now)
        event = challenge.event(now, actor) if is_mailed else None
        self._store.add_login_challenge(CodeRequest(user, challenge, opened, event), keys, now)
        return challenge.id
