"""Authenticator apps: enrolled, confirmed by a code, used and disabled."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from common.clock import Clock
from common.contracts.events import Actor, Event
from common.errors import Refusal
from common.keys import Keyring
from common.retry import retry_on_conflict

from functions.auth.domain.authenticators import (
    RECOVERY_CODE_COUNT,
    Authenticator,
    TotpEnrolment,
    canonical,
    is_totp,
    provisioning_uri,
    step_of,
)
from functions.auth.domain.codes import Attempts
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, live_session, signed_in_user
from functions.auth.service.credentials import Credentials, PasswordProof

if TYPE_CHECKING:
    from functions.auth.store import AuthStore


class Cipher(Protocol):
    """Encryption of secrets that must be read again."""

    def encrypt(self, user_id: str, text: str) -> bytes:
        """Encrypt a secret for a user."""

    def decrypt(self, user_id: str, sealed: bytes) -> str:
        """Decrypt a secret that was encrypted for the same user."""


class Authenticators:
    """The authenticator apps of users. `keys` returns the keys of the recovery codes' digests."""

    def __init__(
        self,
        store: "AuthStore",
        credentials: Credentials,
        cipher: Cipher,
        keys: Callable[[], Keyring],
        new_secret: Callable[[], str],
        new_recovery_code: Callable[[], str],
        now: Clock,
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._cipher = cipher
        self._keys = keys
        self._new_secret = new_secret
        self._new_recovery_code = new_recovery_code
        self._now = now

    def enrol(self, user_id: str) -> TotpEnrolment:
        """Make a new secret. It replaces an unconfirmed one, and becomes the second factor by `confirm`.

        Raises Refusal `invalid_state` if there is a confirmed one.
        """
        return retry_on_conflict(lambda: self._enrol(user_id), attempts=ATTEMPTS)

    def _enrol(self, user_id: str) -> TotpEnrolment:
        user = signed_in_user(self._store.user(user_id))
        if user.second_factor == "totp":
            raise Refusal("invalid_state", "You already have an authenticator app. Disable it first.")
        known = self._store.authenticator(user_id)
        secret = self._new_secret()
        codes = tuple(self._new_recovery_code() for _ in range(RECOVERY_CODE_COUNT))
        authenticator = Authenticator(
            user_id,
            self._cipher.encrypt(user_id, secret),
            tuple(self._keys().digest(_digested(user_id, code)) for code in codes),
            version=known.version + 1 if known else 1,
        )
        self._store.enrol(user, authenticator)
        return TotpEnrolment(secret, provisioning_uri(secret, user.email), codes)

    def confirm(self, actor: Actor, user_id: str, session_id: str, code: str) -> None:
        """Make the enrolled app the second factor, given a code of it. Every session but the caller's ends.

        Raises Refusal `invalid_code`, `invalid_state` if no app is enrolled or it is confirmed already, and
        `unauthenticated` if the session has ended.
        """
        retry_on_conflict(lambda: self._confirm(actor, user_id, session_id, code), attempts=ATTEMPTS)

    def _confirm(self, actor: Actor, user_id: str, session_id: str, code: str) -> None:
        user = signed_in_user(self._store.user(user_id))
        live_session(self._store.session(user_id, session_id), user, self._now())
        enrolled = self._store.authenticator(user_id)
        if enrolled is None or user.second_factor == "totp":
            raise Refusal("invalid_state", "There is no authenticator app to confirm.")
        now = self._now()
        confirmed = self._after_totp(enrolled, code, now)
        if confirmed is None:
            raise Refusal("invalid_code")
        revised = user.revised(now, second_factor="totp", generation=user.generation + 1)
        event = _updated(revised, now, actor)
        self._store.change_second_factor(revised, event, confirmed, kept_session=session_id)

    def disable(self, actor: Actor, user_id: str, password: str, code: str) -> None:
        """Disable the app as a second factor. Wrong codes count with those of the user's logins.

        Raises Refusal `invalid_credentials`, `rate_limited` or `invalid_code`, and `invalid_state` if there is no app.
        """
        proof = self._credentials.reauthenticate(user_id, password, actor)
        retry_on_conflict(lambda: self._disable(actor, proof, code), attempts=ATTEMPTS)

    def _disable(self, actor: Actor, proof: PasswordProof, code: str) -> None:
        user = self._credentials.recheck(proof)
        if user.second_factor != "totp":
            raise Refusal("invalid_state", "You have no authenticator app.")
        now = self._now()
        attempts = self._store.attempts(user.id, "login") or Attempts(user.id, "login", "", version=0)
        if attempts.are_exhausted(now):
            raise Refusal("invalid_code")
        used = self.after(user, code, now)
        if used is None:
            self._store.count_wrong_code(None, attempts.with_wrong_code(now), user.login_failed_event(now, actor))
            raise Refusal("invalid_code")
        revised = user.revised(now, second_factor="none")
        event = _updated(revised, now, actor)
        self._store.change_second_factor(revised, event, used, proof.counter_keys, attempts.with_correct_code())

    def after(self, user: User, code: str, at: datetime) -> Authenticator | None:
        """Return the user's authenticator after an app's code or a recovery code was used, or None if it is wrong."""
        authenticator = self._store.authenticator(user.id)
        if authenticator is None or user.second_factor != "totp":
            return None
        if is_totp(code):
            return self._after_totp(authenticator, code, at)
        return authenticator.without(self._keys().digests(_digested(user.id, code)))

    def _after_totp(self, authenticator: Authenticator, code: str, at: datetime) -> Authenticator | None:
        secret = self._cipher.decrypt(authenticator.user_id, authenticator.secret)
        step = step_of(secret, code, at, authenticator.last_step)
        return None if step is None else authenticator.used(step)


def _digested(user_id: str, code: str) -> str:
    return f"recovery\n{user_id}\n{canonical(code)}"


def _updated(user: User, at: datetime, actor: Actor) -> Event:
    return user.event("user.updated", at, actor, ("second_factor",))
