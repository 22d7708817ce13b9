"""Transfers that have not ended in time."""

from typing import TYPE_CHECKING

from common import clock

from functions.transfers.domain.lifecycle import SagaUnavailable
from functions.transfers.domain.recovery import SHARDS, next_due_at
from functions.transfers.service.intents import Sagas

if TYPE_CHECKING:
    from functions.transfers.store.recovery import RecoveryStore
    from functions.transfers.store.transfers import TransferStore

_MAX_TRANSFERS_PER_SHARD = 16


class Recovery:
    """Starts the sagas of due transfers again, which is harmless if one is still running."""

    def __init__(self, store: "RecoveryStore", transfers: "TransferStore", sagas: Sagas, now: clock.Clock) -> None:
        self._store = store
        self._transfers = transfers
        self._sagas = sagas
        self._now = now

    def run(self) -> dict[str, list[str]]:
        """Recover one batch. The rest stays due and is recovered by the next run.

        Returns the ids of the transfers whose saga was `started` and those for which that `failed`. Each is due again
        later until it has ended.
        """
        now = self._now()
        done: dict[str, list[str]] = {"started": [], "failed": []}
        for shard in SHARDS:
            for due in self._store.due(shard, clock.timestamp(now), _MAX_TRANSFERS_PER_SHARD):
                state = self._transfers.find(due.transfer_id)
                if state is None or not self._store.claim(due, next_due_at(state.attempts, now)):
                    continue
                try:
                    self._sagas.start(state.transfer, state.attempts + 1)
                    done["started"].append(due.transfer_id)
                except SagaUnavailable:
                    done["failed"].append(due.transfer_id)
        return done
