"""Reading and setting spending limits. The ledger enforces them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.clock import Clock, timestamp
from common.contracts.events import Actor
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.limits import CurrentSpending, Spending

if TYPE_CHECKING:
    from functions.accounts.store.limits import LimitStore


class Limits:
    """The spending limits of accounts. `check_pin` is `Pins.check`."""

    def __init__(self, store: "LimitStore", now: Clock, check_pin: Callable[[str, str | None, Actor], None]) -> None:
        self._store = store
        self._now = now
        self._check_pin = check_pin

    def get(self, account_id: str, caller_id: str) -> CurrentSpending:
        """Return the limits of an account and what was spent of them. Raises Refusal `not_found`."""
        return self._current(*self._own(account_id, caller_id))

    def put(
        self, account_id: str, caller_id: str, daily: int | None, weekly: int | None, pin: str | None, actor: Actor
    ) -> CurrentSpending:
        """Set both limits. What was spent stays spent.

        Raising or removing a limit needs the PIN. Raises Refusal `not_found`, then as `Pins.check`, then
        `invalid_state` if the account is closed.
        """
        is_checked = False

        def attempt() -> CurrentSpending:
            nonlocal is_checked
            account, spending = self._own(account_id, caller_id)
            if spending.is_loosened_by(daily, weekly) and not is_checked:
                self._check_pin(account_id, pin, actor)
                is_checked = True
            if not account.is_open:
                raise Refusal("invalid_state", "The account is closed.")
            limited = spending.limited(daily, weekly)
            if limited != spending:
                changed, limits = account.changed(), {"daily_limit": daily, "weekly_limit": weekly}
                event = changed.event("account.updated", self._now(), actor, changed=[*limits], **limits)
                self._store.set(account, changed, limited, event)
            return self._current(account, limited)

        return retry_on_conflict(attempt)

    def _own(self, account_id: str, caller_id: str) -> tuple[Account, Spending]:
        found = self._store.get(account_id)
        if found is None or found[0].owner_id != caller_id:
            raise Refusal("not_found")
        return found

    def _current(self, account: Account, spending: Spending) -> CurrentSpending:
        # As a debit would count now: its line is never older than the last one.
        at = max(timestamp(self._now()), account.line_at)
        return CurrentSpending(account.currency, spending.rolled(at), at)
