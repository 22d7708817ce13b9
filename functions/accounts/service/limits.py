"""Spending limits as their owner sees and sets them; the ledger keeps to them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from common.clock import Clock, timestamp
from common.errors import Problem
from common.events import Actor, Event

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.limits import Spending
from functions.accounts.models.limits import LimitsResource, SetLimits

_TRIES = 8


class LimitStore(Protocol):
    """What setting limits needs of a store."""

    def get(self, account_id: str) -> tuple[Account, Spending] | None:
        """An account, and what it may spend and has."""

    def set(self, account: Account, revised: Account, spending: Spending, told: Event) -> bool:
        """Writes an account's limits with their event; False where it moved on since it was read, or is closed."""


class Limits:
    """The limits of users' accounts. `check_pin` raises Problem where an account has a PIN and this is not it."""

    def __init__(self, store: LimitStore, clock: Clock, check_pin: Callable[[str, str | None, Actor], None]) -> None:
        self._store = store
        self._clock = clock
        self._check_pin = check_pin

    def get(self, account_id: str, caller_id: str) -> LimitsResource:
        """An account's limits, and what is spent of them now. Raises Problem `not_found` for all but its owner."""
        return self._shown(*self._own(account_id, caller_id))

    def put(self, account_id: str, caller_id: str, wanted: SetLimits, actor: Actor) -> LimitsResource:
        """Sets both limits; raising or removing one takes the account's PIN, where it has one.

        What was spent stays spent. Raises Problem: `not_found`, then as `check_pin`, then `invalid_state` for a closed
        account; `unavailable` where the account kept changing.
        """
        checked = False
        for _ in range(_TRIES):
            account, spending = self._own(account_id, caller_id)
            if spending.is_loosened_by(wanted.daily, wanted.weekly) and not checked:
                self._check_pin(account_id, wanted.pin, actor)
                checked = True
            if not account.is_open:
                raise Problem("invalid_state", "The account is closed.")
            limited = spending.limited(wanted.daily, wanted.weekly)
            if limited == spending:
                return self._shown(account, spending)
            revised = replace(account, changes=account.changes + 1)
            limits = {"daily_limit": wanted.daily, "weekly_limit": wanted.weekly}
            told = revised.told("account.updated", self._clock(), actor, changed=[*limits], **limits)
            if self._store.set(account, revised, limited, told):
                return self._shown(account, limited)
        raise Problem("unavailable", retry_after=1)

    def _own(self, account_id: str, caller_id: str) -> tuple[Account, Spending]:
        found = self._store.get(account_id)
        if found is None or found[0].owner_id != caller_id:
            raise Problem("not_found")
        return found

    def _shown(self, account: Account, spending: Spending) -> LimitsResource:
        # As a debit of now would count: in the day and week of its line, which is never before the last one's.
        at = max(timestamp(self._clock()), account.line_at)
        return LimitsResource.of(account.currency, spending.rolled(at), at)
