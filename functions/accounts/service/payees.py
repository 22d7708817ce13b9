"""Keeping the payees up to date, and looking them up."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from common.clock import Clock, timestamp
from common.contracts.auth import FindUser, FoundUser
from common.contracts.events import Event
from common.errors import Refusal
from common.retry import retry_on_conflict

from functions.accounts.domain.hours import Hour
from functions.accounts.domain.payees import Payee, changes_of

if TYPE_CHECKING:
    from functions.accounts.store.payees import PayeeStore

LOOK_UPS_PER_HOUR = 30


class Payees:
    """Who can be paid. `find_user` asks the auth context."""

    def __init__(self, store: "PayeeStore", find_user: Callable[[FindUser], FoundUser], now: Clock) -> None:
        self._store = store
        self._find_user = find_user
        self._now = now

    def handle(self, event: Event) -> None:
        """Update the payees from an event of a user. Events may arrive in any order and more than once."""
        self.update(Payee.of(event.data, event.sequence, event.time))

    def update(self, payee: Payee) -> None:
        """Update the entries of a user, unless they are newer than `payee`."""

        def attempt() -> None:
            entries = self._store.find([payee.user_id, *payee.aliases])
            known = entries.get(payee.user_id)
            former = [alias for alias in known.aliases if alias not in payee.aliases] if known else []
            if former:
                entries |= self._store.find(former)
            if changes := changes_of(payee, entries):
                self._store.update(payee.user_id, entries, changes)

        retry_on_conflict(attempt)

    def fetch(self, request: FindUser) -> Payee | None:
        """Return a user whose event has not arrived yet, from the auth context, and store them. None if not found."""
        # Read before the call: if the alias changes hands meanwhile, that claim is later than this one and wins.
        at = timestamp(self._now())
        found = self._find_user(request)
        if found.outcome == "not_found":
            return None
        payee = Payee.of(asdict(found), found.sequence, at)
        self.update(payee)
        return payee

    def look_up(self, user_id: str, *, email: str | None, phone: str | None) -> Payee:
        """Return who can be paid under an email or a phone. Misses count as well, so that nobody can guess addresses.

        Raises Refusal `rate_limited` and `not_found`.
        """
        hour = Hour.of(self._now())
        if not self._store.count_look_up(user_id, hour, LOOK_UPS_PER_HOUR):
            raise Refusal("rate_limited", retry_after=hour.seconds_left)
        alias = email or phone or ""
        payee = self._store.find([alias]).get(alias) or self.fetch(FindUser(email=email, phone=phone))
        if payee is None or not payee.is_payable:
            raise Refusal("not_found")
        return payee
