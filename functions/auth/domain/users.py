"""Users: who they are, and what their events say."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from common import clock
from common.events import Actor, Event, Type

Role = Literal["customer", "arbiter", "admin"]
Status = Literal["active", "suspended"]
SecondFactor = Literal["none", "email", "totp"]


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account here. `sequence` ascends with every change."""

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
        """A customer who registers at `at`, with nothing verified yet."""
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

    def with_email_verified(self, at: datetime) -> "User":
        """The user once the address is proven theirs."""
        return replace(self, email_verified=True, updated_at=clock.timestamp(at), sequence=self.sequence + 1)

    def event(self, type: Type, at: datetime, actor: Actor) -> Event:
        """The event of the change that made the user what they are now."""
        data = {
            "user_id": self.id,
            "email": self.email,
            "email_verified": self.email_verified,
            "phone": self.phone,
            "phone_verified": self.phone_verified,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "status": self.status,
        }
        return Event.new(type, self.id, self.sequence, at, data, actor)
