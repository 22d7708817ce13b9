"""Authenticator apps: enrolled, confirmed by a code, used, and given up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event
from common.idempotency import digest

from functions.auth.domain.authenticators import RECOVERY_CODES, Authenticator, canonical, is_totp, step_of, uri
from functions.auth.domain.codes import Attempts, Challenge, Purpose
from functions.auth.domain.throttle import Counters
from functions.auth.domain.users import User
from functions.auth.service import present, settled
from functions.auth.service.credentials import Credentials, Proven


class Store(Protocol):
    """What authenticators need of the table."""

    def user(self, user_id: str) -> User | None:
        """A user by id."""

    def authenticator(self, user_id: str) -> Authenticator | None:
        """The user's authenticator app, confirmed or not."""

    def enrol(self, user: User, authenticator: Authenticator) -> None:
        """Writes an authenticator that is yet to be confirmed, in the place of another such one. Raises Stale."""

    def change_factor(
        self,
        user: User,
        event: Event,
        authenticator: Authenticator | None,
        counters: Counters | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        """Writes the user with another second factor, and their authenticator as it is then: gone, but for `totp`.

        Raises Stale.
        """

    def attempts(self, user_id: str, purpose: Purpose) -> Attempts | None:
        """The user's open challenge of a purpose, and the wrong codes given for it."""

    def count_try(self, challenge: Challenge | None, attempts: Attempts, event: Event | None) -> None:
        """Counts a wrong try. Raises Stale."""


class Cipher(Protocol):
    """How secrets that have to be read again are kept."""

    def encrypt(self, user_id: str, text: str) -> bytes:
        """A secret of a user's, sealed."""

    def decrypt(self, user_id: str, sealed: bytes) -> str:
        """What was sealed for this user."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a user's app has to know, and the codes for when it is lost; shown once."""

    secret: str = field(repr=False)
    otpauth_uri: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)


class Authenticators:
    """Apps that know a user's secret. `key` answers the key of the recovery codes' digests."""

    def __init__(
        self,
        store: Store,
        credentials: Credentials,
        cipher: Cipher,
        key: Callable[[], bytes],
        new_secret: Callable[[], str],
        new_recovery_code: Callable[[], str],
        now: Clock,
    ) -> None:
        self._store = store
        self._credentials = credentials
        self._cipher = cipher
        self._key = key
        self._new_secret = new_secret
        self._new_recovery_code = new_recovery_code
        self._now = now

    def enrol(self, user_id: str) -> Enrolment:
        """A new secret, which becomes the second factor by `confirm` and replaces one that is not confirmed.

        Raises Problem `invalid_state` where there is a confirmed one.
        """
        return settled(lambda: self._enrol(user_id))

    def _enrol(self, user_id: str) -> Enrolment:
        user = present(self._store.user(user_id))
        if user.second_factor == "totp":
            raise Problem("invalid_state", "There is an authenticator app already; disable it first.")
        known = self._store.authenticator(user_id)
        secret = self._new_secret()
        codes = tuple(self._new_recovery_code() for _ in range(RECOVERY_CODES))
        authenticator = Authenticator(
            user_id,
            self._cipher.encrypt(user_id, secret),
            tuple(self._digest(user_id, code) for code in codes),
            version=known.version + 1 if known else 1,
        )
        self._store.enrol(user, authenticator)
        return Enrolment(secret, uri(secret, user.email), codes)

    def confirm(self, actor: Actor, user_id: str, code: str) -> None:
        """Makes the enrolled app the second factor, given a code of it.

        Raises Problem `invalid_code`, and `invalid_state` where there is none, or it is confirmed.
        """
        settled(lambda: self._confirm(actor, user_id, code))

    def _confirm(self, actor: Actor, user_id: str, code: str) -> None:
        user = present(self._store.user(user_id))
        enrolled = self._store.authenticator(user_id)
        if enrolled is None or user.second_factor == "totp":
            raise Problem("invalid_state", "There is no authenticator app that waits to be confirmed.")
        now = self._now()
        confirmed = self._after_totp(enrolled, code, now)
        if confirmed is None:
            raise Problem("invalid_code")
        revised = user.revised(now, second_factor="totp")
        self._store.change_factor(revised, _updated(revised, now, actor), confirmed)

    def disable(self, actor: Actor, user_id: str, password: str, code: str) -> None:
        """Gives the app up, as a second factor too. Wrong codes count with those of the user's logins.

        Raises Problem `invalid_credentials`, `rate_limited`, `invalid_code`, and `invalid_state` where there is none.
        """
        proven = self._credentials.prove(user_id, password, actor)
        settled(lambda: self._disable(actor, proven, code))

    def _disable(self, actor: Actor, proven: Proven, code: str) -> None:
        user = self._credentials.still(proven)
        if user.second_factor != "totp":
            raise Problem("invalid_state", "There is no authenticator app.")
        now = self._now()
        attempts = self._store.attempts(user.id, "login") or Attempts(user.id, "login", "", version=0)
        if attempts.are_spent(now):
            raise Problem("invalid_code")
        used = self.after(user, code, now)
        if used is None:
            self._store.count_try(None, attempts.counted(now), user.login_failed(now, actor))
            raise Problem("invalid_code")
        revised = user.revised(now, second_factor="none")
        event = _updated(revised, now, actor)
        self._store.change_factor(revised, event, used, proven.counters, attempts.passed())

    def after(self, user: User, code: str, at: datetime) -> Authenticator | None:
        """The user's authenticator once a code of the app or a recovery code is used, None where it is wrong."""
        authenticator = self._store.authenticator(user.id)
        if authenticator is None or user.second_factor != "totp":
            return None
        if is_totp(code):
            return self._after_totp(authenticator, code, at)
        return authenticator.without(self._digest(user.id, code))

    def _after_totp(self, authenticator: Authenticator, code: str, at: datetime) -> Authenticator | None:
        secret = self._cipher.decrypt(authenticator.user_id, authenticator.secret)
        step = step_of(secret, code, at, authenticator.last_step)
        return None if step is None else authenticator.used(step)

    def _digest(self, user_id: str, code: str) -> str:
        return digest(self._key(), "recovery", f"{user_id}\n{canonical(code)}")


def _updated(user: User, at: datetime, actor: Actor) -> Event:
    return user.event("user.updated", at, actor, ("second_factor",))
