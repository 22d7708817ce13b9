"""The payee directory: who can be paid, by user id and by verified email and phone; a projection of `user.*`.

Each user has one entry under the id and a copy of it under every alias that is theirs. Events come in any order and
more than once; the sequence of a user orders what is heard of them, and the time of a claim decides between two users
who claim one alias: an alias is verified by one user at a time, so that the later claim is the true one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Payee:
    """A user as of their change number `sequence`, known to be so at `at`; an email or phone only where verified."""

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
        """The payee that a user's event, or the auth room's answer, describes. Of a deleted user nothing is kept."""
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
        """What this user can be addressed by, apart from the id."""
        return tuple(alias for alias in (self.email, self.phone) if alias)

    @property
    def is_payable(self) -> bool:
        """Whether this user may be sent money."""
        return self.status == "active"

    @property
    def display_name(self) -> str:
        """The name that the other side of a transfer sees: `Ada L.`"""
        return f"{self.first_name} {self.last_name[:1]}.".strip()

    @property
    def masked_name(self) -> str:
        """The name for somebody who has only guessed an alias, its length included: `A** L.`"""
        return f"{self.first_name[:1]}** {self.last_name[:1]}."


Entries = Mapping[str, Payee]
"""Entries of the directory by user id or alias."""


def revise(payee: Payee, listed: Entries) -> dict[str, Payee | None]:
    """How the directory changes when `payee` is heard of: entries to write, None for one to remove.

    `listed` are the present entries of the user, of the user's aliases before and of those in `payee`. What is older
    than the directory, or known to it, changes nothing.
    """
    known = listed.get(payee.user_id)
    if known and known.sequence > payee.sequence:
        return {}
    changes: dict[str, Payee | None] = {}
    if known is None or known.sequence < payee.sequence:
        changes[payee.user_id] = payee
        for alias in known.aliases if known else ():
            if alias in listed and listed[alias].user_id == payee.user_id:
                changes[alias] = None
    for alias in payee.aliases:
        if alias not in listed or _yields(listed[alias], payee):
            changes[alias] = payee
    return changes


def _yields(entry: Payee, payee: Payee) -> bool:
    if entry.user_id == payee.user_id:
        return entry.sequence < payee.sequence
    return (entry.at, entry.user_id) < (payee.at, payee.user_id)
