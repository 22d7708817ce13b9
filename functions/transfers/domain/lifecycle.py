"""What differs between the kinds of transfers, one row a kind, and what the statuses of all kinds mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from common.contracts.events import EventType
from common.errors import Fault

Kind = Literal["transfer", "deposit"]
Status = Literal["pending", "completed", "declined", "failed"]


class SagaUnavailable(Fault):
    """A saga could not be started, or did not end with an outcome in time. Recovery starts it again."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """How a kind runs.

    A transfer that is still pending after `due_after` is recovered. If `is_synchronous`, the request waits for the saga
    and returns its outcome; otherwise it returns the pending transfer. `rail` names the rail that brings the money, and
    is None if an account of this ledger pays.
    """

    saga: str
    due_after: timedelta
    is_synchronous: bool
    rail: str | None = None


LIFECYCLES: Mapping[Kind, Lifecycle] = {
    "transfer": Lifecycle("transfer", timedelta(seconds=30), is_synchronous=True),
    "deposit": Lifecycle("deposit", timedelta(seconds=120), is_synchronous=False, rail="sandbox"),
}
FINAL_STATUSES: Mapping[str, Status] = {
    "posted": "completed",
    "declined": "declined",
    "failed": "failed",
    "returned": "failed",
}
"""The status that follows from the outcome of a posting."""


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What a status means for every kind.

    `event` reports that a transfer has reached the status. `is_visible_to_payee` says that money was moved or set aside
    for the payee: before that, a transfer is the initiator's alone.
    """

    event: EventType
    is_visible_to_payee: bool = False


STATUSES: Mapping[Status, StatusRule] = {
    "pending": StatusRule("transfer.created"),
    "completed": StatusRule("transfer.completed", is_visible_to_payee=True),
    "declined": StatusRule("transfer.declined"),
    "failed": StatusRule("transfer.failed"),
}
