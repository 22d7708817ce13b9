"""What rails answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common import clock
from common.errors import Fault
from common.retry import retry_on_conflict

from functions.transfers.domain.deposits import RailAnswer

if TYPE_CHECKING:
    from functions.transfers.store.transfers import TransferStore


class UnknownTransfer(Fault):
    """A rail answered about a transfer that is not recorded."""


class RailAnswers:
    """Records the answers of rails, then resumes the sagas that wait for them.

    `resume` passes an outcome to the step that waits with a task token, and returns False if none waits any more.
    """

    def __init__(self, store: "TransferStore", resume: Callable[[str, dict[str, str]], bool], now: clock.Clock) -> None:
        self._store = store
        self._resume = resume
        self._now = now

    def handle(self, answer: RailAnswer, task_token: str) -> bool:
        """Record an answer and resume the saga. Returns False if the saga no longer waits.

        The record keeps what the answer means: a transfer that has ended without a posting, although the rail confirms,
        is due at once, and recovery has the money returned.
        """
        retry_on_conflict(lambda: self._record(answer))
        return self._resume(task_token, {"outcome": answer.outcome, "code": answer.code})

    def _record(self, answer: RailAnswer) -> None:
        state = self._store.find(answer.transfer_id)
        if state is None:
            raise UnknownTransfer(answer.transfer_id)
        answered = state.transfer.answered(answer)
        if answered != state.transfer:
            self._store.record_rail_answer(state.transfer, answered, clock.timestamp(self._now()))
