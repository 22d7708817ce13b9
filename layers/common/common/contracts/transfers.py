"""The tasks of the transfers context: the states of its sagas."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from common.contracts.task import Task

RailOperation = Literal["collect", "refund"]
"""What a rail is asked to do with the money of a deposit."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask a rail for the money of a deposit, or to take it back. The rail answers later, through `task_token`.

    The rail knows a transfer: the same operation again moves nothing more and has the same answer.
    """

    transfer_id: str
    amount: int
    currency: str
    instrument: Literal["card", "bank_account"]
    last4: str
    task_token: str
    operation: RailOperation = "collect"


@dataclass(frozen=True, slots=True)
class Submitted:
    """The rail has accepted the operation for processing."""

    outcome: Literal["submitted"] = "submitted"


@dataclass(frozen=True, slots=True)
class Complete:
    """Close a transfer with the outcome of its posting. `transfer` is the record that the saga was started with.

    `returned` means that the rail had confirmed, that nothing was posted, and that the rail has taken the money back.
    """

    transfer: Mapping[str, Any]
    outcome: Literal["posted", "declined", "failed", "returned"]
    code: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """The answer for the client of the transfer: the first one that was given, byte for byte."""

    outcome: Literal["completed", "declined", "failed"]
    status: int
    body: str
    content_type: str
    location: str | None = None


SUBMIT = Task("transfers-submit", Submit, Submitted)
COMPLETE = Task("transfers-complete", Complete, Completed)
