"""The use cases of transfers: begin one, close it, look at it, start again what was left behind, forget who is gone.

A replay wins over every refusal, yet the usual request spends no read on it: authorization comes first, and the
condition on the key, in the write that records the intent, finds the first try. Only a refusal looks the key up before
it is answered, and so does a request with a PIN beforehand, since a replay must not cost its sender one of their tries.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Protocol

from common import clock
from common.errors import Problem
from common.events import Actor, Event
from common.idempotency import Answer, Idempotency
from common.tasks import Authorization, AuthorizeDeposit, AuthorizeTransfer, Complete, Completed

from functions.transfers.domain import (
    SHARDS,
    Bound,
    Due,
    Filter,
    First,
    Kept,
    Kind,
    Origin,
    SagaUnavailable,
    Stored,
    Transfer,
    Unfinished,
    due_first,
    due_next,
)

_PATIENCE = timedelta(seconds=3)
_POLL_SECONDS = 0.2
# In `Transfer.weight`: no more records, and no more than some 2 MB of metadata, of the 6 MB that Lambda answers.
_EXAMINED_A_PAGE = 2000
_RECOVERED_A_SHARD = 16
_FORGOTTEN_A_CALL = 300


class Store(Protocol):
    """The transfers table as the use cases need it."""

    def create(
        self, transfer: Transfer, key: Idempotency, created: Event, due_at: str, answer: Answer | None
    ) -> Bound | None:
        """Records an intent with its key, both or none; answers what the key is bound to where it was taken."""

    def bound(self, scope: str) -> Bound | None:
        """What an idempotency key is bound to."""

    def find(self, transfer_id: str) -> Stored | None:
        """A record as of now."""

    def keep_answer(self, transfer_id: str, answer: Answer) -> Answer:
        """Records the first answer, and answers the one that counts: an earlier one where there is one."""

    def close(self, transfer: Transfer, event: Event, answer: Answer) -> Stored:
        """Writes the end of a transfer, once; answers the record as it stands then: pending still, where a party of it
        was forgotten since it was read."""

    def history(self, user_id: str, first_id: str, last_id: str, chunk: int) -> Iterator[Transfer]:
        """The transfers of a user with ids in between (inclusive), newest first, read `chunk` (1..100) at a time."""

    def records(self, user_id: str) -> Iterator[Kept]:
        """All records in which a user is a party."""

    def forget(self, kept: Kept, forgotten: Transfer) -> None:
        """Writes the sides of a record that are forgotten, and removes the events that were told of it before."""

    def due(self, shard: str, now: str, limit: int) -> Iterator[Due]:
        """The first `limit` transfers of a shard whose time came before `now`."""

    def claim(self, due: Due, next_due_at: str) -> bool:
        """Makes a due transfer ours to start again; False where it is not due any more."""


class Sagas(Protocol):
    """The state machines."""

    def run(self, transfer: Transfer) -> Completed:
        """Runs a saga to its end. Raises SagaUnavailable where that is not reached in time; it may still be."""

    def start(self, transfer: Transfer, attempt: int) -> None:
        """Starts a saga and does not wait. The same attempt starts once. Raises SagaUnavailable."""


class Service:
    """Transfers, deposits and their recovery."""

    def __init__(
        self,
        store: Store,
        sagas: Sagas,
        authorize_transfer: Callable[[AuthorizeTransfer], Authorization],
        authorize_deposit: Callable[[AuthorizeDeposit], Authorization],
        clock: clock.Clock,
        new_id: Callable[[str, datetime], str],
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._sagas = sagas
        self._authorize_transfer = authorize_transfer
        self._authorize_deposit = authorize_deposit
        self._clock = clock
        self._new_id = new_id
        self._sleep = sleep

    def send(self, origin: Origin, request: AuthorizeTransfer, description: str, metadata: Mapping[str, str]) -> First:
        """Sends money between two accounts and answers with the outcome, or 202 while that is not known.

        Raises Problem: the code of a refusal that records nothing, or what the idempotency key has to say.
        """
        if request.pin is not None and (first := self._first(origin.idempotency)):
            return first
        authorization = self._authorize_transfer(request)
        now = self._clock()
        transfer = self._intent("transfer", now, origin, request, authorization, description, metadata)
        if transfer is None:
            return self._first_or_refuse(origin.idempotency, authorization.code)
        if bound := self._record(transfer, now, origin, None):
            return self._replay(bound, origin.idempotency)
        try:
            completed = self._sagas.run(transfer)
        except SagaUnavailable:
            return First(self._store.keep_answer(transfer.id, transfer.answer()), replayed=False)
        answer = Answer(completed.status, completed.body, completed.content_type, completed.location)
        return First(answer, replayed=False)

    def deposit(self, origin: Origin, request: AuthorizeDeposit, description: str) -> First:
        """Records a deposit and hands it to its saga; it completes when the rail confirms. Raises Problem as `send`."""
        authorization = self._authorize_deposit(request)
        now = self._clock()
        transfer = self._intent("deposit", now, origin, request, authorization, description, {})
        if transfer is None:
            return self._first_or_refuse(origin.idempotency, authorization.code)
        answer = transfer.answer()
        if bound := self._record(transfer, now, origin, answer):
            return self._replay(bound, origin.idempotency)
        # The intent is recorded and due: where the saga doesn't start now, recovery starts it.
        with suppress(SagaUnavailable):
            self._sagas.start(transfer, 0)
        return First(answer, replayed=False)

    def complete(self, request: Complete) -> Completed:
        """Closes a transfer with what became of its posting, once; answers what its client was told, to the byte."""
        now = self._clock()
        stored = self._close(Transfer.of(request.transfer), request, now)
        if stored.transfer.status == "pending":
            # What the saga began with names somebody who is gone by now.
            stored = self._close(stored.transfer, request, now)
        answer = stored.answer or stored.transfer.answer()
        status = stored.transfer.status
        assert status != "pending"
        return Completed(status, **asdict(answer))

    def transfer(self, transfer_id: str, user_id: str, *, is_admin: bool) -> Transfer:
        """A transfer for one of its parties or an admin. Raises Problem `not_found`."""
        stored = self._store.find(transfer_id)
        if stored is None or not (is_admin or stored.transfer.is_party(user_id)):
            raise Problem("not_found")
        return stored.transfer

    def transfers(
        self, user_id: str, narrowed: Filter, limit: int, after_id: str | None, scopes: Sequence[str] | None
    ) -> tuple[list[Transfer], str | None]:
        """A page of a user's transfers, newest first, and the id after which the next page begins.

        `scopes` narrows to what these idempotency keys are bound to. A page looks at a bounded number of records, and
        of large ones at fewer, so a filter that hardly ever holds may give a short page that has a next one.
        """
        low, high = narrowed.id_range()
        chunk = min(limit + 1, 100) if narrowed.is_of_time_only else 100
        records = (
            self._store.history(user_id, low, min(high, after_id or high), chunk)
            if scopes is None
            else self._bound_to(scopes)
        )
        page: list[Transfer] = []
        last_id = None
        examined = 0
        for transfer in records:
            if examined >= _EXAMINED_A_PAGE:
                return page, last_id
            examined += transfer.weight
            if (after_id is None or transfer.id < after_id) and narrowed.admits(transfer, user_id):
                if len(page) == limit:
                    return page, page[-1].id
                page.append(transfer)
            last_id = transfer.id
        return page, None

    def recover(self) -> dict[str, list[str]]:
        """Starts the sagas of transfers past their time again, which is harmless where one still runs.

        Answers the ids of what was started and of what could not be; each is due again later, until it has ended.
        """
        now = self._clock()
        done: dict[str, list[str]] = {"started": [], "failed": []}
        for shard in SHARDS:
            for due in self._store.due(shard, clock.timestamp(now), _RECOVERED_A_SHARD):
                stored = self._store.find(due.transfer_id)
                if stored is None or not self._store.claim(due, due_next(stored.attempts, now)):
                    continue
                try:
                    self._sagas.start(stored.transfer, stored.attempts + 1)
                    done["started"].append(due.transfer_id)
                except SagaUnavailable:
                    done["failed"].append(due.transfer_id)
        return done

    def forget(self, user_id: str) -> None:
        """Takes a deleted user's name and aliases from every record of theirs; again it changes nothing.

        The stored first answers stay: the same key gives the same bytes. Raises Unfinished where more is left to do.
        """
        changed = 0
        for kept in self._store.records(user_id):
            forgotten = kept.transfer.without(user_id)
            if forgotten == kept.transfer:
                continue
            if changed == _FORGOTTEN_A_CALL:
                raise Unfinished
            self._store.forget(kept, forgotten)
            changed += 1

    def _close(self, pending: Transfer, request: Complete, now: datetime) -> Stored:
        closed = pending.closed(request, now)
        return self._store.close(closed, closed.event(now, Actor(pending.initiated_by)), closed.answer())

    def _intent(
        self,
        kind: Kind,
        now: datetime,
        origin: Origin,
        request: AuthorizeTransfer | AuthorizeDeposit,
        authorization: Authorization,
        description: str,
        metadata: Mapping[str, str],
    ) -> Transfer | None:
        """The record of an authorized request, None of a refused one."""
        if authorization.outcome == "refused":
            return None
        assert authorization.source is not None
        assert authorization.destination is not None
        return Transfer(
            id=self._new_id("trf", now),
            kind=kind,
            amount=request.amount,
            currency=request.currency,
            source=authorization.source,
            destination=authorization.destination,
            initiated_by=origin.caller_id,
            description=description,
            created_at=clock.timestamp(now),
            trace_id=origin.trace_id,
            instance=origin.instance,
            metadata=metadata,
            last4=authorization.last4,
        )

    def _record(self, transfer: Transfer, now: datetime, origin: Origin, answer: Answer | None) -> Bound | None:
        created = transfer.event(now, origin.actor)
        return self._store.create(transfer, origin.idempotency, created, due_first(transfer.kind, now), answer)

    def _first_or_refuse(self, key: Idempotency, code: str) -> First:
        if first := self._first(key):
            return first
        raise Problem(code)

    def _first(self, key: Idempotency) -> First | None:
        bound = self._store.bound(key.scope)
        return self._replay(bound, key) if bound else None

    def _replay(self, bound: Bound, key: Idempotency) -> First:
        """The first answer, waited for while the first request runs. Raises Problem."""
        key.check(bound.fingerprint)
        deadline = self._clock() + _PATIENCE
        while True:
            stored = self._store.find(bound.transfer_id)
            if stored and stored.answer:
                return First(stored.answer, replayed=True)
            if self._clock() >= deadline:
                raise Problem("idempotency_in_progress", retry_after=1)
            self._sleep(_POLL_SECONDS)

    def _bound_to(self, scopes: Iterable[str]) -> Iterable[Transfer]:
        bounds = filter(None, map(self._store.bound, scopes))
        found = filter(None, (self._store.find(bound.transfer_id) for bound in bounds))
        return sorted((stored.transfer for stored in found), key=lambda transfer: transfer.id, reverse=True)
