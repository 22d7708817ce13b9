"""Keeping the payee directory, and looking people up in it."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Protocol

from common.clock import Clock, timestamp
from common.errors import Problem
from common.events import Event
from common.tasks import FindUser, FoundUser

from functions.accounts.domain.payees import Entries, Payee, revise

LOOK_UPS_AN_HOUR = 30
_TRIES = 8


class PayeeStore(Protocol):
    """What the directory needs of a store."""

    def listed(self, names: Iterable[str]) -> dict[str, Payee]:
        """The entries that exist under user ids and aliases."""

    def revise(self, user_id: str, listed: Entries, changes: Mapping[str, Payee | None]) -> bool:
        """Writes `changes` (None removes) where neither their entries nor that of `user_id` have changed since they
        were read as `listed`; False, and nothing is written, where one has."""

    def count_look_up(self, user_id: str, hour: str, limit: int, expires_at: int) -> bool:
        """Counts a look-up in an hour, whose count may go at `expires_at`; False where there were `limit` before."""


class Directory:
    """Who can be paid."""

    def __init__(self, store: PayeeStore, find_user: Callable[[FindUser], FoundUser], clock: Clock) -> None:
        self._store = store
        self._find_user = find_user
        self._clock = clock

    def hear(self, event: Event) -> None:
        """Takes in what happened to a user, in whatever order events come. Raises Problem `unavailable`."""
        self.enter(Payee.of(event.data, event.sequence, event.time))

    def enter(self, payee: Payee) -> None:
        """Brings the user's entries up to `payee`, where that is news.

        Raises Problem `unavailable` where entries kept changing under our hands: nothing was written then.
        """
        for _ in range(_TRIES):
            listed = self._store.listed([payee.user_id, *payee.aliases])
            known = listed.get(payee.user_id)
            former = [alias for alias in known.aliases if alias not in payee.aliases] if known else []
            if former:
                listed |= self._store.listed(former)
            changes = revise(payee, listed)
            if not changes or self._store.revise(payee.user_id, listed, changes):
                return
        raise Problem("unavailable", retry_after=1)

    def learn(self, ask: FindUser) -> Payee | None:
        """A user whom the directory does not know yet, entered from what the auth room says; None where it knows none.

        Raises Problem `unavailable`.
        """
        # Taken before asking: an alias that moves meanwhile is claimed later than this, and that claim holds.
        at = timestamp(self._clock())
        found = self._find_user(ask)
        if found.outcome == "not_found":
            return None
        payee = Payee.of(asdict(found), found.sequence, at)
        self.enter(payee)
        return payee

    def look_up(self, user_id: str, *, email: str | None, phone: str | None) -> Payee:
        """Who can be paid under an email or a phone. Finding nobody counts too: addresses are not to be guessed here.

        Raises Problem `rate_limited`, `not_found`, `unavailable`.
        """
        now = self._clock()
        hour = now.replace(minute=0, second=0, microsecond=0)
        ends = hour + timedelta(hours=1)
        if not self._store.count_look_up(user_id, timestamp(hour), LOOK_UPS_AN_HOUR, int(ends.timestamp())):
            raise Problem("rate_limited", retry_after=math.ceil((ends - now).total_seconds()))
        alias = email or phone or ""
        payee = self._store.listed([alias]).get(alias) or self.learn(FindUser(email=email, phone=phone))
        if payee is None or not payee.is_payable:
            raise Problem("not_found")
        return payee
