"""Events: what a context publishes when its state changes. The envelope is CloudEvents 1.0."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from common import clock, ids

EventType = Literal[
    "user.registered",
    "user.verified",
    "user.login",
    "user.login_failed",
    "user.updated",
    "user.password_changed",
    "user.suspended",
    "user.deleted",
    "code.requested",
    "account.opened",
    "account.updated",
    "account.frozen",
    "account.closed",
    "pin.failed",
    "pin.locked",
    "limit.exceeded",
    "balance.low",
    "ledger.drifted",
    "transfer.created",
    "transfer.completed",
    "transfer.declined",
    "transfer.failed",
]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused an event, and from where. `user_id` is None for the platform itself and for anonymous clients."""

    user_id: str | None = None
    session_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


SYSTEM = Actor()
"""The platform itself, as an actor."""

# The fixed time part of event ids: an id must not depend on when the change was retried.
_ID_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_CONTEXTS = {
    "user": "auth",
    "code": "auth",
    "account": "accounts",
    "pin": "accounts",
    "limit": "accounts",
    "balance": "accounts",
    "ledger": "accounts",
    "transfer": "transfers",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvents 1.0 envelope. `sequence` ascends per subject.

    `data` never holds a code, PIN, token, password or card number.
    """

    id: str
    source: str
    type: EventType
    subject: str
    sequence: int
    time: str
    actor: Actor
    data: Mapping[str, Any]

    @classmethod
    def new(
        cls, type: EventType, subject: str, sequence: int, at: datetime, data: Mapping[str, Any], actor: Actor = SYSTEM
    ) -> "Event":
        """Return the event of change number `sequence` of `subject`.

        The id is derived from subject, sequence and type alone, so that a retried change gives the same event.
        """
        event_id = ids.derived_id("evt", _ID_TIME, subject, str(sequence), type)
        source = f"/remit/{_CONTEXTS[type.split('.')[0]]}"
        return cls(event_id, source, type, subject, sequence, clock.timestamp(at), actor, data)

    def item(self) -> dict[str, Any]:
        """Return the event as it is stored in an outbox and sent over the wire."""
        return {"specversion": "1.0", **asdict(self), "data": dict(self.data)}

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Event":
        """Return the event that `item` was made from."""
        fields = {name: value for name, value in item.items() if name != "specversion"}
        return cls(**{**fields, "actor": Actor(**item["actor"])})
