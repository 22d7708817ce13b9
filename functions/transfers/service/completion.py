"""The last step of every saga."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from common import clock
from common.contracts.events import Actor
from common.contracts.transfers import Complete, Completed
from common.idempotency import Answer

from functions.transfers.domain.declines import hour_of
from functions.transfers.domain.transfers import Transfer, TransferState

if TYPE_CHECKING:
    from functions.transfers.store.transfers import TransferStore


class Completion:
    """Ends transfers with the outcome of their posting."""

    def __init__(self, store: "TransferStore", respond: Callable[[Transfer], Answer], now: clock.Clock) -> None:
        self._store = store
        self._respond = respond
        self._now = now

    def complete(self, request: Complete) -> Completed:
        """End a transfer, once, and return the first answer to its request, byte for byte.

        Raises ConditionFailed if nothing was posted but the rail has confirmed meanwhile: the next execution of the
        saga has the money returned.
        """
        now = self._now()
        state = self._close(Transfer.from_record(request.transfer), request, now)
        if state.transfer.status == "pending":
            # A party was deleted after the saga started, so the saga's copy of the record is out of date.
            state = self._close(state.transfer, request, now)
        status = state.transfer.status
        assert status != "pending"
        if status == "declined":
            self._store.count_decline(state.transfer.initiated_by, hour_of(now), state.transfer.id)
        return Completed(status, **asdict(state.answer or self._respond(state.transfer)))

    def _close(self, pending: Transfer, request: Complete, now: datetime) -> TransferState:
        ended = pending.ended(request, now)
        return self._store.close(ended, ended.event(now, Actor(pending.initiated_by)), self._respond(ended))
