"""Payees: who can be paid, by user id and by verified email and phone; a projection of `user.*` events.

Each user has one entry under the user id and a copy of it under every alias of theirs. Events arrive in any order and
more than once. The user's sequence orders the changes of one user. If two users claim the same alias, the later claim
wins, because only one user at a time can have an alias verified.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Payee:
    """A user after their change number `sequence`, as known at `at`. An email or phone is kept only if verified."""

    user_id: str
    sequence: int
    status: str
    first_name: str
    last_name: str
    email: str | None
    phone: str | None
    at: str

    @classmethod
    def of(cls, user: Mapping[str, Any], sequence: int, at: str) -> "Payee":
        """Return the payee of a user, from an event or from `auth-find-user`. Of a deleted user nothing is kept."""
        if user["status"] == "deleted":
            return cls(user["user_id"], sequence, "deleted", "", "", None, None, at)
        return cls(
            user_id=user["user_id"],
            sequence=sequence,
            status=user["status"],
            first_name=user["first_name"],
            last_name=user["last_name"],
            email=user["email"] if user["email_verified"] else None,
            phone=user["phone"] if user["phone_verified"] else None,
            at=at,
        )

    @property
    def aliases(self) -> tuple[str, ...]:
        """The email and phone by which the user can be addressed."""
        return tuple(alias for alias in (self.email, self.phone) if alias)

    @property
    def is_payable(self) -> bool:
        """Whether the user may receive money."""
        return self.status == "active"

    @property
    def display_name(self) -> str:
        """The name that the other side of a transfer sees: `Ada L.`"""
        return f"{self.first_name} {self.last_name[:1]}.".strip()

    @property
    def masked_name(self) -> str:
        """The name shown to a caller who knows only an alias: `A** L.`, whatever its length."""
        return f"{self.first_name[:1]}** {self.last_name[:1]}."


Entries = Mapping[str, Payee]
"""Entries by user id or alias."""


def changes_of(payee: Payee, entries: Entries) -> dict[str, Payee | None]:
    """Return how the entries change if `payee` is the latest known state of a user; None deletes an entry.

    `entries` are the present entries of the user, of their former aliases and of the aliases in `payee`. A state that
    is older than the entries, or the same, changes nothing.
    """
    known = entries.get(payee.user_id)
    if known and known.sequence > payee.sequence:
        return {}
    changes: dict[str, Payee | None] = {}
    if known is None or known.sequence < payee.sequence:
        changes[payee.user_id] = payee
        for alias in known.aliases if known else ():
            if alias in entries and entries[alias].user_id == payee.user_id:
                changes[alias] = None
    for alias in payee.aliases:
        if alias not in entries or _is_superseded(entries[alias], payee):
            changes[alias] = payee
    return changes


def _is_superseded(entry: Payee, payee: Payee) -> bool:
    if entry.user_id == payee.user_id:
        return entry.sequence < payee.sequence
    return (entry.at, entry.user_id) < (payee.at, payee.user_id)
