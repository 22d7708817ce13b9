"""The transfers table: idempotency keys and records, each intent written with its key in one transaction.

Write units go by the kilobyte, and a record is written twice. So `transfer.created` stands on the key's item, which has
the room for it, and the first answer's body is deflated: the usual record is one unit new and two closed.
"""

import heapq
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby, islice

from common.dynamo import ABSENT, PRESENT, Cancelled, ConditionFailed, Item, Key, Put, Table, Update
from common.events import OUTBOX, Event, outbox
from common.idempotency import Answer, Idempotency

from functions.transfers.domain import Bound, Due, Kept, Stored, Transfer, due_shard

_SIDES = ("source", "destination")
_LIST_INDEXES = (("by_payer", "payer", "pk"), ("by_payee", "payee", "pk"))


class TransferStore:
    """The only access to the transfers table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(
        self, transfer: Transfer, key: Idempotency, created: Event, due_at: str, answer: Answer | None
    ) -> Bound | None:
        """Records an intent and its key, both or none. Answers what the key is bound to where it was taken."""
        binding = {
            "pk": f"K#{key.scope}",
            "sk": "K",
            "fingerprint": key.fingerprint,
            "transfer_id": transfer.id,
            **outbox(created),
        }
        pk, sk = _record_key(transfer.id)
        people = {"payer": transfer.payer_id, "payee": transfer.payee_id}
        record = {
            **transfer.item(),
            **{name: user_id for name, user_id in people.items() if user_id is not None},
            **({"answer": _answer_item(answer)} if answer else {}),
            "pk": pk,
            "sk": sk,
            "key": key.scope,
            "due_shard": due_shard(transfer.id),
            "due_at": due_at,
        }
        try:
            self._table.transact([Put(binding, ABSENT), Put(record, ABSENT)])
        except Cancelled as cancelled:
            # A key that another request is at work on says nothing of itself, and then only the record is refused.
            taken = cancelled.reasons[0].old or self._table.get((binding["pk"], "K"))
            if taken is None:
                raise
            # Our own id there: the write had succeeded and only its reply was lost.
            return None if taken["transfer_id"] == transfer.id else _bound(taken)
        return None

    def bound(self, scope: str) -> Bound | None:
        """What an idempotency key is bound to."""
        item = self._table.get((f"K#{scope}", "K"))
        return _bound(item) if item else None

    def find(self, transfer_id: str) -> Stored | None:
        """A record as of now."""
        item = self._table.get(_record_key(transfer_id))
        return _stored(item) if item else None

    def keep_answer(self, transfer_id: str, answer: Answer) -> Answer:
        """Records the first answer, and answers the one that counts: an earlier one where there is one."""
        where = [*PRESENT, ("answer", "absent", None)]
        try:
            self._table.update(Update(_record_key(transfer_id), set={"answer": _answer_item(answer)}, where=where))
        except ConditionFailed as failure:
            if failure.old is None:
                raise
            return _answer(failure.old["answer"])
        return answer

    def close(self, transfer: Transfer, event: Event, answer: Answer) -> Stored:
        """Writes the end of a transfer over the state before it; one that has ended stays as it is.

        Answers the record as it stands then: pending still, where a party of it was forgotten since it was read. Raises
        ConditionFailed where it stands otherwise, or is not there.
        """
        parties = {name: transfer.item()[name] for name in _SIDES}
        ended = {
            "status": transfer.status,
            "sequence": transfer.sequence,
            "decline_code": transfer.decline_code,
            "posted_at": transfer.posted_at,
            "completed_at": transfer.completed_at,
        }
        update = Update(
            _record_key(transfer.id),
            set={**{name: value for name, value in ended.items() if value != ""}, **outbox(event)},
            set_if_absent={"answer": _answer_item(answer)},
            remove=("due_shard", "due_at"),
            where=[
                ("status", "=", "pending"),
                ("sequence", "=", transfer.sequence - 1),
                *((name, "=", party) for name, party in parties.items()),
            ],
        )
        try:
            return _stored(self._table.update(update))
        except ConditionFailed as failure:
            old = failure.old
            if old is None or (old["status"] == "pending" and parties == {name: old[name] for name in _SIDES}):
                raise
            return _stored(old)

    def history(self, user_id: str, first_id: str, last_id: str, chunk: int) -> Iterator[Transfer]:
        """The transfers of a user with ids in between (inclusive), newest first, read `chunk` (1..100) at a time."""
        return map(Transfer.of, self._items_of(user_id, first_id, last_id, chunk))

    def records(self, user_id: str) -> Iterator[Kept]:
        """All records in which a user is a party, with the scopes of their keys."""
        return (Kept(Transfer.of(item), item.get("key", "")) for item in self._items_of(user_id, "", "~", 100))

    def forget(self, kept: Kept, forgotten: Transfer) -> None:
        """Writes the sides of a record that are forgotten, and removes the events that were told of it before."""
        if kept.key_scope:
            # First: the record is what says that there is nothing left to do.
            self._table.update(Update((f"K#{kept.key_scope}", "K"), remove=[OUTBOX], where=PRESENT))
        before, after = kept.transfer.item(), forgotten.item()
        sides = [name for name in _SIDES if after[name] != before[name]]
        # A side changes by this alone, so whoever finds it changed finds it done.
        with suppress(ConditionFailed):
            self._table.update(
                Update(
                    _record_key(forgotten.id),
                    set={name: after[name] for name in sides},
                    remove=[OUTBOX],
                    where=[(name, "=", before[name]) for name in sides],
                )
            )

    def _items_of(self, user_id: str, first_id: str, last_id: str, chunk: int) -> Iterator[Item]:
        if first_id > last_id:
            # AWS refuses a BETWEEN whose bounds are the wrong way round.
            return
        between = (f"T#{first_id}", f"T#{last_id}")
        lists = (
            self._table.query(user_id, between=between, index=index, limit=chunk, descending=True)
            for index in _LIST_INDEXES
        )
        merged = heapq.merge(*lists, key=lambda row: str(row["pk"]), reverse=True)
        keys: Iterator[Key] = ((pk, "R") for pk, _ in groupby(row["pk"] for row in merged))
        while wanted := list(islice(keys, chunk)):
            found = self._table.batch_get(wanted)
            yield from (found[key] for key in wanted if key in found)

    def due(self, shard: str, now: str, limit: int) -> Iterator[Due]:
        """The first `limit` transfers of a shard whose time came before `now`."""
        rows = self._table.query(shard, before=now, index=("due", "due_shard", "due_at"), limit=limit)
        return (Due(row["pk"].removeprefix("T#"), row["due_at"]) for row in islice(rows, limit))

    def claim(self, due: Due, next_due_at: str) -> bool:
        """Makes a due transfer ours to start again; False where somebody else did, or it has ended meanwhile."""
        update = Update(
            _record_key(due.transfer_id),
            set={"due_at": next_due_at},
            add={"attempts": 1},
            where=[("due_at", "=", due.due_at)],
        )
        try:
            self._table.update(update)
        except ConditionFailed:
            return False
        return True


def _record_key(transfer_id: str) -> Key:
    return f"T#{transfer_id}", "R"


def _bound(item: Item) -> Bound:
    return Bound(item["fingerprint"], item["transfer_id"])


def _stored(item: Item) -> Stored:
    answer = _answer(item["answer"]) if "answer" in item else None
    return Stored(Transfer.of(item), answer, item.get("attempts", 0))


def _answer_item(answer: Answer) -> Item:
    kept = {name: value for name, value in asdict(answer).items() if value is not None}
    return {**kept, "body": zlib.compress(answer.body.encode())}


def _answer(item: Item) -> Answer:
    return Answer(**{**item, "body": zlib.decompress(item["body"]).decode()})
