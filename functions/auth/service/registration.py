"""Registration of users, and verification of their email."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from common.clock import Clock
from common.contracts.events import Actor
from common.retry import retry_on_conflict

from functions.auth.domain.codes import Attempts, Purpose, UsedCode
from functions.auth.domain.passwords import check_strength
from functions.auth.domain.throttle import Quota, digest_of
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, NOBODY
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import PasswordHasher

if TYPE_CHECKING:
    from functions.auth.store import AuthStore

_VERIFY: Purpose = "verify_email"


class Registration:
    """New users, until their email is verified."""

    def __init__(
        self,
        store: "AuthStore",
        codes: Codes,
        hasher: PasswordHasher,
        now: Clock,
        new_id: Callable[[str, datetime], str],
        per_address: int,
    ) -> None:
        self._store = store
        self._codes = codes
        self._hasher = hasher
        self._now = now
        self._new_id = new_id
        self._per_address = per_address

    def register(
        self, actor: Actor, *, email: str, password: str, first_name: str, last_name: str, phone: str | None
    ) -> User:
        """Register a user and mail a code to `email`. A taken one does the same work.

        Raises Refusal `weak_password`, `rate_limited` if too many were registered from the actor's address in an hour,
        and `email_taken` or `phone_taken`.
        """
        check_strength(password, self._hasher.common, email=email, first_name=first_name, last_name=last_name)
        now = self._now()
        self._store.take(Quota.of(self._per_address, timedelta(hours=1), now, "register", actor.ip or ""), now)
        digest = self._hasher.digest(password)
        user = User.new(
            self._new_id("usr", now),
            now,
            email=email,
            phone=phone,
            first_name=first_name,
            last_name=last_name,
            password_hash=digest,
        )
        challenge = self._codes.new_challenge(user.id, _VERIFY, email, now)
        events = (user.event("user.registered", now, actor), challenge.event(now, actor))
        self._store.add_user(user, challenge, Attempts.opening(challenge, None), events)
        return user

    def verify_email(self, actor: Actor, email: str, code: str) -> None:
        """Verify an email, given the mailed code. Raises Refusal `invalid_code` or `code_expired`."""
        user = self._store.user_by_email(email)

        def write(found: User, used: UsedCode) -> None:
            now = self._now()
            verified = found.revised(now, email_verified=True)
            self._store.update_user(verified, verified.event("user.verified", now, actor), used)

        self._codes.redeem(user.id if user else NOBODY, _VERIFY, code, write)

    def resend_code(self, actor: Actor, email: str) -> None:
        """Mail another code if a user has this email unverified. Any other email looks the same.

        Raises Refusal `rate_limited` within a minute of the last request.
        """
        retry_on_conflict(lambda: self._resend_code(actor, email), attempts=ATTEMPTS)

    def _resend_code(self, actor: Actor, email: str) -> None:
        user = self._store.user_by_email(email)
        unverified = user if user is not None and not user.email_verified else None
        self._codes.request_code(digest_of(_VERIFY, email), unverified, _VERIFY, actor)
