"""Setting, checking and resetting PINs."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Protocol

from common.clock import Clock
from common.errors import Problem
from common.events import Actor, Event, Type
from common.idempotency import Idempotency
from common.tasks import CheckCode, CheckedCode, RequestCode, RequestedCode

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.pins import Pin

_TRIES = 16


class PinStore(Protocol):
    """What PINs need of a store."""

    def get(self, account_id: str) -> tuple[Account | None, Pin | None]:
        """An account and its PIN, as far as they are there."""

    def passed(self, account_id: str, pin: Pin) -> bool:
        """Forgets wrong tries; False where the PIN was locked or set anew since it was read."""

    def missed(self, account: Account, revised: Account, pin: Pin, told: list[Event]) -> bool:
        """Counts a wrong try, with its events; False where account or PIN moved on since they were read."""

    def set(
        self, account: Account, revised: Account, pin: Pin | None, wanted: Pin, told: Event, key: Idempotency | None
    ) -> bool:
        """Replaces `pin`, None for none yet, with the account's event, and keeps that under `key`, where there is one.

        False where account or PIN moved on since they were read, or the key was used.
        """

    def is_done(self, key: Idempotency | None) -> bool:
        """Whether what a key stands for was done. Raises Problem `idempotency_key_reused`."""

    def done(self, key: Idempotency) -> None:
        """Keeps that it was; again is harmless."""


class PinDigests(Protocol):
    """How PINs are kept."""

    def digest(self, account_id: str, pin: str) -> str:
        """A slow digest, from which the PIN can't be guessed."""

    def matches(self, account_id: str, pin: str, digested: str) -> bool:
        """Whether this is the PIN that was digested for the account."""


class Pins:
    """The PINs of accounts.

    A try is answered only after the write that counts it, and that write fails once the PIN is locked: of guesses at
    once no more are answered than of guesses in a row, and right PINs at once don't get in one another's way.
    """

    def __init__(
        self,
        store: PinStore,
        clock: Clock,
        digests: PinDigests,
        request_code: Callable[[RequestCode], RequestedCode],
        check_code: Callable[[CheckCode], CheckedCode],
    ) -> None:
        self._store = store
        self._clock = clock
        self._digests = digests
        self._request_code = request_code
        self._check_code = check_code

    def check(self, account_id: str, pin: str | None, actor: Actor) -> None:
        """Nothing where an open account has no PIN, or this one.

        Raises Problem: `pin_required`, `invalid_pin`, which is counted, `pin_locked`; `unavailable` where account and
        PIN kept changing.
        """
        is_pin = self._comparison(account_id, pin)
        for _ in range(_TRIES):
            account, kept = self._store.get(account_id)
            if account is None or kept is None or not account.is_open:
                return
            if self._admits(account, kept, is_pin, actor) and self._store.passed(account_id, kept):
                return
        raise _busy()

    def set(self, account_id: str, owner_id: str, pin: str, current: str | None, actor: Actor) -> None:
        """Sets the PIN of an account, which takes the present one where there is one.

        Raises Problem `not_found`, `invalid_state` for a closed account, and as `check` for the present PIN.
        """
        is_pin, digest = self._comparison(account_id, current), ""
        for _ in range(_TRIES):
            account, kept = self._own(account_id, owner_id)
            if kept is None or kept.digest == digest or self._admits(account, kept, is_pin, actor):
                digest = digest or self._digests.digest(account_id, pin)
                if self._replace(account, kept, digest, None, actor):
                    return
        raise _busy()

    def request_reset(self, account_id: str, owner_id: str, key: Idempotency | None, actor: Actor) -> bool:
        """Has a code mailed that resets the PIN; whether that was done under the key before.

        Raises Problem `not_found`, `invalid_state` for an account that is closed or has no PIN, `rate_limited`.
        """
        if self._store.is_done(key):
            return True
        self._resettable(account_id, owner_id)
        requested = self._request_code(RequestCode(owner_id, "pin_reset", account_id, actor))
        if requested.outcome == "rate_limited":
            raise Problem("rate_limited", retry_after=requested.retry_after)
        if key:
            self._store.done(key)
        return False

    def reset(self, account_id: str, owner_id: str, code: str, pin: str, key: Idempotency | None, actor: Actor) -> bool:
        """Sets and unlocks the PIN by a code that was mailed, and uses that up; whether the key's was done before.

        Raises Problem `not_found`, `invalid_state` for an account that is closed or has no PIN, `invalid_code`,
        `code_expired`.
        """
        if self._store.is_done(key):
            return True
        self._resettable(account_id, owner_id)
        checked = self._check_code(CheckCode(owner_id, "pin_reset", account_id, code))
        if checked.outcome != "right":
            # Two at once: the other may have used the code up.
            if self._store.is_done(key):
                return True
            raise Problem(checked.outcome)
        digest = self._digests.digest(account_id, pin)
        for _ in range(_TRIES):
            account, kept = self._resettable(account_id, owner_id)
            if self._replace(account, kept, digest, key, actor):
                return False
        raise _busy()

    def _comparison(self, account_id: str, pin: str | None) -> "_IsPin | None":
        """Compares with what is kept; slowly, but the same only once, however often account and PIN are read."""
        return cache(partial(self._digests.matches, account_id, pin)) if pin is not None else None

    def _admits(self, account: Account, kept: Pin, is_pin: "_IsPin | None", actor: Actor) -> bool:
        """Whether the PIN is right; False too where a wrong try could not be counted yet. Raises Problem."""
        if is_pin is None:
            raise Problem("pin_required")
        if kept.is_locked:
            raise Problem("pin_locked")
        if is_pin(kept.digest):
            return True
        missed, revised, told = kept.missed(), account, []
        what: tuple[Type, ...] = ("pin.failed", "pin.locked") if missed.is_locked else ("pin.failed",)
        for each in what:
            revised = replace(revised, changes=revised.changes + 1)
            told.append(revised.told(each, self._clock(), actor, tries=missed.tries))
        if self._store.missed(account, revised, kept, told):
            raise Problem("invalid_pin")
        return False

    def _replace(self, account: Account, kept: Pin | None, digest: str, key: Idempotency | None, actor: Actor) -> bool:
        if kept and kept.digest == digest:
            # An earlier try of this very call, whose reply was lost: nobody else has this salt.
            return True
        wanted = kept.replaced(digest) if kept else Pin(digest)
        revised = replace(account, pin_set=True, changes=account.changes + 1)
        told = revised.told("account.updated", self._clock(), actor, changed=["pin"])
        return self._store.set(account, revised, kept, wanted, told, key)

    def _own(self, account_id: str, owner_id: str) -> tuple[Account, Pin | None]:
        account, kept = self._store.get(account_id)
        if account is None or account.owner_id != owner_id:
            raise Problem("not_found")
        if not account.is_open:
            raise Problem("invalid_state", "The account is closed.")
        return account, kept

    def _resettable(self, account_id: str, owner_id: str) -> tuple[Account, Pin]:
        account, kept = self._own(account_id, owner_id)
        if kept is None:
            raise Problem("invalid_state", "The account has no PIN.")
        return account, kept


_IsPin = Callable[[str], bool]


def _busy() -> Problem:
    return Problem("unavailable", retry_after=1)
