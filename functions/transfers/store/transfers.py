"""Records of transfers and the idempotency keys that made them."""

from common.contracts.events import Event
from common.dynamo import ABSENT, PRESENT, Cancelled, ConditionFailed, Put, Table, Term, Update
from common.errors import Stale
from common.events import outbox
from common.idempotency import Answer, IdempotencyKey

from functions.transfers.domain.declines import MAX_DECLINES_PER_HOUR, Hour
from functions.transfers.domain.intents import KeyBinding
from functions.transfers.domain.recovery import due_shard
from functions.transfers.domain.transfers import Transfer, TransferState
from functions.transfers.store import items, keys


class TransferStore:
    """Transfers, each written with its key in one transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(
        self, transfer: Transfer, key: IdempotencyKey, created: Event, due_at: str, answer: Answer | None
    ) -> KeyBinding | None:
        """Write a transfer and its key, both or none. Returns what the key is bound to if it was used before."""
        binding = items.binding_item(key, transfer.id, created)
        record = items.record_item(transfer, key.scope, due_at, answer)
        try:
            self._table.transact([Put(binding, ABSENT), Put(record, ABSENT)])
        except Cancelled as cancelled:
            # If another transaction is writing the key, its reason has no item, and only the record's condition failed.
            taken = cancelled.reasons[0].old or self._table.get(keys.binding(key.scope))
            if taken is None:
                raise
            # Our own id: the write succeeded and only its reply was lost.
            return None if taken["transfer_id"] == transfer.id else items.binding_of(taken)
        return None

    def find_binding(self, scope: str) -> KeyBinding | None:
        """Return what an idempotency key is bound to, or None."""
        item = self._table.get(keys.binding(scope))
        return items.binding_of(item) if item else None

    def look_up(self, scope: str, user_id: str, hour: Hour) -> tuple[KeyBinding | None, int]:
        """Return what an idempotency key is bound to, or None, and how many declines a user has had in an hour."""
        binding, declines = keys.binding(scope), keys.declines(user_id, hour.starts_at)
        found = self._table.batch_get([binding, declines])
        count = found[declines]["declines"] if declines in found else 0
        return (items.binding_of(found[binding]) if binding in found else None), count

    def count_decline(self, user_id: str, hour: Hour, cause: str) -> bool:
        """Count a decline of a user. Returns False if the limit is reached; then it is not counted.

        `cause` is the id of the transfer or of the request. The same one in a row, a retry, is counted once.
        """
        update = Update(
            keys.declines(user_id, hour.starts_at),
            set={"cause": cause, "expires_at": int(hour.ends_at.timestamp())},
            add={"declines": 1},
            where=[("declines", "absent or <", MAX_DECLINES_PER_HOUR), ("cause", "absent or <>", cause)],
        )
        try:
            self._table.update(update)
        except ConditionFailed as failure:
            return failure.old is not None and failure.old["cause"] == cause
        return True

    def find(self, transfer_id: str) -> TransferState | None:
        """Return the current state of a transfer, or None."""
        item = self._table.get(keys.record(transfer_id))
        return items.state_of(item) if item else None

    def keep_answer(self, transfer_id: str, answer: Answer) -> Answer:
        """Store the first answer, unless there is one. Returns the answer that is stored."""
        where = [*PRESENT, ("answer", "absent", None)]
        try:
            self._table.update(Update(keys.record(transfer_id), set={"answer": items.answer_item(answer)}, where=where))
        except ConditionFailed as failure:
            if failure.old is None:
                raise
            return items.answer_of(failure.old["answer"])
        return answer

    def close(self, transfer: Transfer, event: Event, answer: Answer) -> TransferState:
        """Write the end of a transfer over its pending record, and `answer` unless there is one.

        Returns the current state. It is an earlier end if the transfer has ended before, and pending if a party has
        been deleted since the record was read. Raises ConditionFailed if the record is missing or differs otherwise, or
        if the rail has confirmed and `transfer` has neither been posted nor returned.
        """
        record = transfer.record()
        parties = {name: record[name] for name in ("source", "destination")}
        ended = ("status", "sequence", "decline_code", "posted_at", "completed_at")
        unconfirmed: list[Term] = (
            [] if transfer.status == "completed" else [("rail_outcome", "absent or <>", "confirmed")]
        )
        update = Update(
            keys.record(transfer.id),
            set={
                **{name: record[name] for name in ended if name in record},
                **({"payee": payee} if (payee := items.payee_of(transfer)) else {}),
                **outbox(event),
            },
            set_if_absent={"answer": items.answer_item(answer)},
            remove=("due_shard", "due_at"),
            where=[
                ("status", "=", "pending"),
                ("sequence", "=", transfer.sequence - 1),
                *((name, "=", party) for name, party in parties.items()),
                *unconfirmed,
            ],
        )
        try:
            return items.state_of(self._table.update(update))
        except ConditionFailed as failure:
            old = failure.old
            if old is None or (old["status"] == "pending" and parties == {name: old[name] for name in parties}):
                raise
            return items.state_of(old)

    def record_rail_answer(self, old: Transfer, answered: Transfer, now: str) -> None:
        """Write what the rail answered about the transfer `old`.

        A transfer that has ended is due now if its money is to be returned, and no longer due after that. Raises Stale.
        """
        attributes = {name: getattr(answered, name) for name in ("rail_outcome", "rail_code", "decline_code")}
        if old.status != "pending":
            is_due = answered.is_to_be_returned
            attributes |= {"due_shard": due_shard(old.id) if is_due else "", "due_at": now if is_due else ""}
        update = Update(
            keys.record(old.id),
            set={name: value for name, value in attributes.items() if value},
            remove=[name for name, value in attributes.items() if not value],
            where=[
                ("status", "=", old.status),
                ("rail_outcome", "=", old.rail_outcome) if old.rail_outcome else ("rail_outcome", "absent", None),
            ],
        )
        try:
            self._table.update(update)
        except ConditionFailed as failure:
            raise Stale from failure
