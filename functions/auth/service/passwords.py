"""Changing a password, given the current one, and resetting a forgotten one, given a mailed code."""

from datetime import datetime
from typing import TYPE_CHECKING

from common.clock import Clock
from common.contracts.events import Actor, Event
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.auth.domain.codes import Purpose, UsedCode
from functions.auth.domain.passwords import check_common, check_personal, check_strength
from functions.auth.domain.throttle import address_key, digest_of
from functions.auth.domain.users import User
from functions.auth.service import ATTEMPTS, NOBODY, live_session
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials, PasswordHasher, PasswordProof

if TYPE_CHECKING:
    from functions.auth.store import AuthStore

_RESET: Purpose = "reset_password"


class Passwords:
    """Changes of passwords. They end sessions, because they raise the user's generation."""

    def __init__(
        self, store: "AuthStore", codes: Codes, credentials: Credentials, hasher: PasswordHasher, now: Clock
    ) -> None:
        self._store = store
        self._codes = codes
        self._credentials = credentials
        self._hasher = hasher
        self._now = now

    def change(self, actor: Actor, user_id: str, session_id: str, current: str, new: str) -> None:
        """Set a new password, given the current one. Every session but the caller's ends.

        Raises Refusal `invalid_credentials`, `rate_limited`, `weak_password` or `unauthenticated`.
        """
        proof = self._credentials.reauthenticate(user_id, current, actor)
        # Of parallel guesses, the correct one must not be revealed by `weak_password` either.
        self._credentials.check_wait(proof.counter_keys)
        names = (proof.user.first_name, proof.user.last_name)
        check_strength(new, self._hasher.common, proof.user.email, *names)
        digest = self._hasher.digest(new)
        retry_on_conflict(lambda: self._change(actor, proof, session_id, digest), attempts=ATTEMPTS)

    def _change(self, actor: Actor, proof: PasswordProof, session_id: str, digest: str) -> None:
        user = self._credentials.recheck(proof)
        now = self._now()
        live_session(self._store.session(user.id, session_id), user, now)
        revised = user.revised(now, password_hash=digest, generation=user.generation + 1)
        self._store.change_password(revised, _changed(revised, now, actor), session_id, proof.counter_keys)

    def forgot(self, actor: Actor, email: str) -> None:
        """Mail a code if a user has this email. An unknown email and a second request within a minute look the same."""
        try:
            retry_on_conflict(lambda: self._forgot(actor, email), attempts=ATTEMPTS)
        except Refusal as refusal:
            if refusal.code != "rate_limited":
                raise

    def _forgot(self, actor: Actor, email: str) -> None:
        user = self._store.user_by_email(email)
        device = self._credentials.known_device(user, actor)
        # A known device has codes of its own: strangers can neither use up its requests nor its tries.
        own = device.digest if device else ""
        self._codes.request_code(digest_of(_RESET, email, own), user, _RESET, actor, device=own)

    def reset(self, actor: Actor, email: str, code: str, new: str) -> None:
        """Set a new password, given the mailed code. Every session ends, and every API key is revoked.

        If the email was not verified, the second factor is removed, too: a stranger may have registered the address.
        Raises Refusal `weak_password`, `invalid_code` or `code_expired`, and `rate_limited` after too many wrong codes
        from the address.
        """
        # Before the code is checked: a password that is weak for anybody must not cost a try.
        check_common(new, self._hasher.common)
        user = self._store.user_by_email(email)
        device = self._credentials.known_device(user, actor)
        if device is not None:
            self._reset(actor, user, code, new, device.digest)
            return
        address = actor.ip or ""
        self._credentials.check_wait((address_key(address),))
        try:
            self._reset(actor, user, code, new)
        except Refusal as refusal:
            if refusal.code in ("invalid_code", "code_expired"):
                self._credentials.count_wrong_code(address)
            raise

    def _reset(self, actor: Actor, user: User | None, code: str, new: str, device: str = "") -> None:
        digests: list[str] = []

        def write(found: User, used: UsedCode) -> None:
            # After the code is checked: a caller without the code must not learn the user's name.
            check_personal(new, found.email, found.first_name, found.last_name)
            if not digests:
                digests.append(self._hasher.digest(new))
            now = self._now()
            factor = found.second_factor if found.email_verified else "none"
            revised = found.revised(
                now, password_hash=digests[0], generation=found.generation + 1, second_factor=factor
            )
            key_ids = self._store.api_key_ids(found.id)
            event = _changed(revised, now, actor, api_keys_revoked=len(key_ids))
            self._store.reset_password(revised, event, used, key_ids)

        self._codes.redeem(user.id if user else NOBODY, _RESET, code, write, device=device)


def _changed(user: User, at: datetime, actor: Actor, **details: int) -> Event:
    return user.event("user.password_changed", at, actor, ("password",), **details)
