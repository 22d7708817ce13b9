"""The exceptions that cross layers, in one tree.

    RemitError
    ├── Refusal            a rule says no; the client learns why from the code
    ├── Stale              what a write was decided from has changed: read again and decide again
    ├── ConditionFailed    (common.dynamo) the condition of one write did not hold
    ├── Cancelled          (common.dynamo) a transaction changed nothing, with the reason of each write
    └── Fault              something failed and can be retried; the effect may or may not have happened
        ├── Contended      others kept changing the same items until the attempts were spent; nothing was changed
        ├── TaskFailed     a task failed or could not be reached
        └── ...            what a context adds: a saga that did not end in time, work that is left to do

`common.http` turns a Refusal into a problem document and a Fault into `unavailable`. Nothing else knows statuses.
"""

from collections.abc import Sequence
from typing import NamedTuple


class RemitError(Exception):
    """The root of the tree."""


class FieldError(NamedTuple):
    """One fault of a request: a JSON Pointer (RFC 6901) to the field, and what is wrong with it."""

    pointer: str
    detail: str


class Refusal(RemitError):
    """A rule says no. `code` is one of the problem codes of the API (`common.http.problems`).

    `retry_after` is in seconds. `transfer_id` names the transfer that was recorded as declined, if one was.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        transfer_id: str | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.transfer_id = transfer_id


class Stale(RemitError):
    """What a write was decided from has changed. Read again and decide again (`common.retry.retry_on_conflict`)."""


class Fault(RemitError):
    """Something failed and can be retried. Whether it had its effect may be unknown."""


class Contended(Fault):
    """Others kept changing the same items until the attempts were spent. Nothing was changed."""


class TaskFailed(Fault):
    """A task failed or could not be reached. Whether it had its effect is unknown; calling it again is harmless."""


def invalid(pointer: str, detail: str) -> Refusal:
    """Return the `validation_failed` of one field."""
    return Refusal("validation_failed", errors=[FieldError(pointer, detail)])
