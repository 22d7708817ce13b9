"""Users and their events."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from common import clock
from common.contracts.events import Actor, Event, EventType

Role = Literal["customer", "arbiter", "admin"]
Status = Literal["active", "suspended", "deleted"]
SecondFactor = Literal["none", "email", "totp"]


@dataclass(frozen=True, slots=True)
class User:
    """A registered person. `sequence` increases with every change.

    A session lives only while its `generation` equals the user's, so that raising the user's ends all sessions.
    """

    id: str
    email: str
    email_verified: bool
    phone: str | None
    phone_verified: bool
    first_name: str
    last_name: str
    role: Role
    status: Status
    second_factor: SecondFactor
    created_at: str
    updated_at: str
    sequence: int
    password_hash: str = field(repr=False)
    generation: int = 0

    @classmethod
    def new(
        cls,
        id: str,
        at: datetime,
        *,
        email: str,
        phone: str | None,
        first_name: str,
        last_name: str,
        password_hash: str,
    ) -> "User":
        """Return a customer who registers at `at`, with nothing verified yet."""
        return cls(
            id=id,
            email=email,
            email_verified=False,
            phone=phone,
            phone_verified=False,
            first_name=first_name,
            last_name=last_name,
            role="customer",
            status="active",
            second_factor="none",
            created_at=clock.timestamp(at),
            updated_at=clock.timestamp(at),
            sequence=1,
            password_hash=password_hash,
        )

    def revised(self, at: datetime, **changes: Any) -> "User":
        """Return the user after their next change."""
        return replace(self, **changes, updated_at=clock.timestamp(at), sequence=self.sequence + 1)

    @property
    def has_second_factor(self) -> bool:
        """Whether logins need a second factor."""
        return self.second_factor != "none"

    def event(
        self, type: EventType, at: datetime, actor: Actor, changed: tuple[str, ...] = (), **details: Any
    ) -> Event:
        """Return the event of the change that made the user what they are now.

        `changed` names what changed, `details` is what only this kind of change has to say.
        """
        data = {
            "user_id": self.id,
            "email": self.email,
            "email_verified": self.email_verified,
            "phone": self.phone,
            "phone_verified": self.phone_verified,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "role": self.role,
            "status": self.status,
            "changed": list(changed),
            **details,
        }
        return Event.new(type, self.id, self.sequence, at, data, actor)

    def deleted_event(self, at: datetime, actor: Actor) -> Event:
        """Return the event that the user is deleted. It has no personal data."""
        data = {"user_id": self.id, "status": "deleted"}
        return Event.new("user.deleted", self.id, self.sequence + 1, at, data, actor)

    def login_failed_event(self, at: datetime, actor: Actor) -> Event:
        """Return the event that `actor` entered a wrong password or second factor."""
        return Event.new("user.login_failed", self.id, int(at.timestamp() * 1000), at, {"user_id": self.id}, actor)


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list; None matches any."""

    role: Role | None = None
    status: Status | None = None
    email: str | None = None

    def matches(self, user: User) -> bool:
        """Return whether `user` is listed."""
        return (
            self.role in (None, user.role) and self.status in (None, user.status) and self.email in (None, user.email)
        )
