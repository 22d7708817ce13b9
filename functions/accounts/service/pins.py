"""Setting, checking and resetting PINs."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from common.clock import Clock, timestamp
from common.contracts.auth import CheckCode, RequestCode
from common.contracts.events import Actor, Event, EventType
from common.contracts.task import Done
from common.errors import Refusal
from common.idempotency import IdempotencyKey
from common.retry import retry_on_conflict

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.pins import Pin, is_weak

if TYPE_CHECKING:
    from functions.accounts.store.pins import PinStore

_ATTEMPTS = 16
_Matches = Callable[[str], bool]


class PinDigests(Protocol):
    """The hashing of PINs."""

    def digest(self, account_id: str, pin: str) -> str:
        """Return a slow digest from which the PIN can't be guessed."""

    def matches(self, account_id: str, pin: str, digested: str) -> bool:
        """Return whether `digested` is a digest of this PIN of the account."""


class Pins:
    """The PINs of accounts.

    A try is answered only after the write that counts it, and that write fails once the PIN is locked. So concurrent
    guesses get no more answers than guesses in a row. Concurrent right PINs do not conflict.
    """

    def __init__(
        self,
        store: "PinStore",
        now: Clock,
        digests: PinDigests,
        request_code: Callable[[RequestCode], Done],
        check_code: Callable[[CheckCode], Done],
    ) -> None:
        self._store = store
        self._now = now
        self._digests = digests
        self._request_code = request_code
        self._check_code = check_code

    def check(self, account_id: str, pin: str | None, actor: Actor) -> None:
        """Check the PIN of an account. Any value passes if the account has no PIN or is closed.

        Raises Refusal `pin_required`, `pin_locked`, and `invalid_pin` once the wrong try is counted.
        """
        matches = self._comparison(account_id, pin)

        def attempt() -> None:
            account, current = self._store.get(account_id)
            if account is None or current is None or not account.is_open:
                return
            self._verify(account, current, matches, actor)
            self._store.reset_tries(account_id, current)

        retry_on_conflict(attempt, attempts=_ATTEMPTS)

    def is_set(self, account_id: str, owner_id: str) -> bool:
        """Return whether an account has a PIN. Raises Refusal `not_found`, and `invalid_state` if it is closed."""
        return self._own(account_id, owner_id)[1] is not None

    def set(self, account_id: str, owner_id: str, pin: str, current_pin: str | None, actor: Actor) -> None:
        """Set the PIN of an account. If it has one, `current_pin` has to be right.

        Raises Refusal `not_found`, `invalid_state` if the account is closed, as `check` for `current_pin`, and
        `weak_pin`.
        """
        matches, digest = self._comparison(account_id, current_pin), ""

        def attempt() -> None:
            nonlocal digest
            account, current = self._own(account_id, owner_id)
            if current and current.digest != digest:
                self._verify(account, current, matches, actor)
            if is_weak(pin):
                if current:
                    # A right PIN counts as such, so that concurrent guesses get no more answers here either.
                    self._store.reset_tries(account_id, current)
                raise Refusal("weak_pin")
            digest = digest or self._digests.digest(account_id, pin)
            self._replace(account, current, current.replaced(digest) if current else Pin(digest), None, actor)

        retry_on_conflict(attempt, attempts=_ATTEMPTS)

    def request_reset(self, account_id: str, owner_id: str, key: IdempotencyKey | None, actor: Actor) -> bool:
        """Mail a code that resets the PIN. Returns whether that was done under the key before.

        Raises Refusal `not_found`, `invalid_state` if the account is closed or has no PIN, and `rate_limited`.
        """
        if self._store.answers.is_done(key):
            return True
        self._resettable(account_id, owner_id)
        self._request_code(RequestCode(owner_id, "pin_reset", account_id, actor))
        if key:
            self._store.answers.mark_done(key)
        return False

    def reset(
        self, account_id: str, owner_id: str, code: str, pin: str, key: IdempotencyKey | None, actor: Actor
    ) -> bool:
        """Set and unlock the PIN, given the mailed code. Returns whether that was done under the key before.

        Raises Refusal `not_found`, `invalid_state` if the account is closed or has no PIN, `weak_pin`, `invalid_code`
        and `code_expired`. A weak PIN does not use up the code.
        """
        if self._store.answers.is_done(key):
            return True
        self._resettable(account_id, owner_id)
        if is_weak(pin):
            raise Refusal("weak_pin")
        try:
            self._check_code(CheckCode(owner_id, "pin_reset", account_id, code))
        except Refusal:
            # A concurrent request with the same key may have used the code up.
            if self._store.answers.is_done(key):
                return True
            raise
        digest = self._digests.digest(account_id, pin)

        def attempt() -> None:
            account, current = self._resettable(account_id, owner_id)
            self._replace(account, current, current.unlocked(digest), key, actor)

        retry_on_conflict(attempt, attempts=_ATTEMPTS)
        return False

    def _comparison(self, account_id: str, pin: str | None) -> _Matches | None:
        """Return the comparison with a stored digest. It is slow, so that it is made once a digest, not once a try."""
        return cache(partial(self._digests.matches, account_id, pin)) if pin is not None else None

    def _verify(self, account: Account, current: Pin, matches: _Matches | None, actor: Actor) -> None:
        if matches is None:
            raise Refusal("pin_required")
        today = timestamp(self._now())[:10]
        if current.is_locked(today):
            raise Refusal("pin_locked")
        if matches(current.digest):
            return
        failed, changed = current.failed(today), account
        types: tuple[EventType, ...] = ("pin.failed", "pin.locked") if failed.is_locked(today) else ("pin.failed",)
        events: list[Event] = []
        for each in types:
            changed = changed.changed()
            events.append(changed.event(each, self._now(), actor, tries=failed.tries))
        self._store.count_try(account, changed, current, failed, events)
        raise Refusal("invalid_pin")

    def _replace(
        self, account: Account, current: Pin | None, new: Pin, key: IdempotencyKey | None, actor: Actor
    ) -> None:
        if current and current.digest == new.digest:
            # An earlier attempt of this call wrote it, and the reply was lost: nobody else has this salt.
            return
        changed = replace(account, pin_set=True).changed()
        event = changed.event("account.updated", self._now(), actor, changed=["pin"])
        self._store.set(account, changed, current, new, event, key)

    def _own(self, account_id: str, owner_id: str) -> tuple[Account, Pin | None]:
        account, current = self._store.get(account_id)
        if account is None or account.owner_id != owner_id:
            raise Refusal("not_found")
        if not account.is_open:
            raise Refusal("invalid_state", "The account is closed.")
        return account, current

    def _resettable(self, account_id: str, owner_id: str) -> tuple[Account, Pin]:
        account, current = self._own(account_id, owner_id)
        if current is None:
            raise Refusal("invalid_state", "The account has no PIN.")
        return account, current
