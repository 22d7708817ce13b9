"""Keeping the payee directory."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from functions.accounts.domain.payees import Entries, Payee, revise

if TYPE_CHECKING:
    # Authorizing a transfer enters payees too, and should not load what queues need.
    from common.events import Event

_TRIES = 8


class PayeeStore(Protocol):
    """What the directory needs of a store."""

    def listed(self, names: Iterable[str]) -> dict[str, Payee]:
        """The entries that exist under user ids and aliases."""

    def revise(self, user_id: str, listed: Entries, changes: Mapping[str, Payee | None]) -> bool:
        """Writes `changes` (None removes) where neither their entries nor that of `user_id` have changed since they
        were read as `listed`; False, and nothing is written, where one has."""


class DirectoryContended(Exception):
    """Entries kept changing under our hands; nothing was written, and trying again later is right."""


class Directory:
    """Who can be paid."""

    def __init__(self, store: PayeeStore) -> None:
        self._store = store

    def hear(self, event: "Event") -> None:
        """Takes in what happened to a user, in whatever order events come. Raises DirectoryContended."""
        self.enter(Payee.of(event.data, event.sequence, event.time))

    def enter(self, payee: Payee) -> None:
        """Brings the user's entries up to `payee`, where that is news. Raises DirectoryContended."""
        for _ in range(_TRIES):
            listed = self._store.listed([payee.user_id, *payee.aliases])
            known = listed.get(payee.user_id)
            former = [alias for alias in known.aliases if alias not in payee.aliases] if known else []
            if former:
                listed |= self._store.listed(former)
            changes = revise(payee, listed)
            if not changes or self._store.revise(payee.user_id, listed, changes):
                return
        raise DirectoryContended
