"""Approve, record and start an intent, once for each idempotency key.

A replay takes precedence over every refusal, and must not use up an attempt at a PIN. So the key is looked up first, in
the same read as the user's declines, and again if the request was refused: another request may have used it meanwhile.
The write that records the intent has a condition on the key, which decides.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from common import clock
from common.contracts.accounts import TransferApproval
from common.contracts.transfers import Completed
from common.errors import Refusal
from common.idempotency import Answer, IdempotencyKey, KeyedAnswer

from functions.transfers.domain.declines import MAX_DECLINES_PER_HOUR, hour_of, too_many_declines
from functions.transfers.domain.intents import Intent, KeyBinding
from functions.transfers.domain.lifecycle import LIFECYCLES, SagaUnavailable
from functions.transfers.domain.recovery import first_due_at
from functions.transfers.domain.transfers import Transfer

if TYPE_CHECKING:
    from functions.transfers.store.transfers import TransferStore

_PATIENCE = timedelta(seconds=3)
_POLL_SECONDS = 0.2


class Sagas(Protocol):
    """The state machines. Each method raises SagaUnavailable."""

    def run(self, transfer: Transfer) -> Completed:
        """Run a transfer's saga to its end and return the outcome."""

    def start(self, transfer: Transfer, attempt: int) -> None:
        """Start a transfer's saga without waiting. Each attempt starts only once."""


class Intents:
    """The way from a request to a running saga, the same for every kind of transfer."""

    def __init__(
        self,
        store: "TransferStore",
        sagas: Sagas,
        respond: Callable[[Transfer], Answer],
        now: clock.Clock,
        new_id: Callable[[str, datetime], str],
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._sagas = sagas
        self._respond = respond
        self._now = now
        self._new_id = new_id
        self._sleep = sleep

    def submit(self, intent: Intent, approve: Callable[[], TransferApproval]) -> KeyedAnswer:
        """Submit an intent and return its first answer.

        Raises Refusal if `approve` does, which records nothing; because of the idempotency key; and `rate_limited` if
        too many payments of the user were declined in this hour.
        """
        key, caller_id = intent.origin.idempotency_key, intent.origin.caller_id
        now = self._now()
        binding, declines = self._store.look_up(key.scope, caller_id, hour_of(now))
        if binding:
            return self._replay(binding, key)
        if declines >= MAX_DECLINES_PER_HOUR:
            raise too_many_declines(now)
        try:
            approval = approve()
        except Refusal as refusal:
            if binding := self._store.find_binding(key.scope):
                return self._replay(binding, key)
            if refusal.code == "payee_not_found" and not self._store.count_decline(
                caller_id, hour_of(now), intent.origin.trace_id
            ):
                raise too_many_declines(now) from None
            raise
        now = self._now()
        transfer = self._transfer(intent, approval, now)
        created = transfer.event(now, intent.origin.actor)
        pending = None if LIFECYCLES[intent.kind].is_synchronous else self._respond(transfer)
        if binding := self._store.create(transfer, key, created, first_due_at(intent.kind, now), pending):
            return self._replay(binding, key)
        if pending is None:
            return KeyedAnswer(self._run(transfer), replayed=False)
        # The transfer is recorded and due: if its saga does not start now, recovery starts it.
        with suppress(SagaUnavailable):
            self._sagas.start(transfer, 0)
        return KeyedAnswer(pending, replayed=False)

    def _transfer(self, intent: Intent, approval: TransferApproval, now: datetime) -> Transfer:
        return Transfer(
            id=self._new_id("trf", now),
            kind=intent.kind,
            amount=intent.amount,
            currency=intent.currency,
            source=approval.source,
            destination=approval.destination,
            initiated_by=intent.origin.caller_id,
            description=intent.description,
            created_at=clock.timestamp(now),
            trace_id=intent.origin.trace_id,
            instance=intent.origin.instance,
            metadata=intent.metadata,
            last4=approval.last4,
        )

    def _run(self, transfer: Transfer) -> Answer:
        try:
            completed = self._sagas.run(transfer)
        except SagaUnavailable:
            return self._store.keep_answer(transfer.id, self._respond(transfer))
        return Answer(completed.status, completed.body, completed.content_type, completed.location)

    def _replay(self, binding: KeyBinding, key: IdempotencyKey) -> KeyedAnswer:
        """Return the first answer. If the first request is still running, wait for it."""
        key.check(binding.fingerprint)
        deadline = self._now() + _PATIENCE
        while True:
            state = self._store.find(binding.transfer_id)
            if state and state.answer:
                return KeyedAnswer(state.answer, replayed=True)
            if self._now() >= deadline:
                raise Refusal("idempotency_in_progress", retry_after=1)
            self._sleep(_POLL_SECONDS)
