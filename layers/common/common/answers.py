"""Answers stored under idempotency keys in a context's table, written in the transaction that has the effect."""

from collections.abc import Sequence

from common.dynamo import ABSENT, CONFLICT, Cancelled, ConditionFailed, Item, Key, Put, Table, Write
from common.errors import Stale
from common.idempotency import Answer, IdempotencyKey
from common.retry import retry_on_conflict

# What a command without a body stores: that it was done.
_DONE = Answer(204, "")


class Answers:
    """The stored answers of one table, under `K#<scope>`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def find(self, key: IdempotencyKey) -> Answer | None:
        """Return the answer stored under a key. Raises Refusal `idempotency_key_reused`."""
        item = self._table.get(_key(key))
        return _answer(key, item) if item else None

    def is_done(self, key: IdempotencyKey | None) -> bool:
        """Return whether the command of a key was done. Raises Refusal `idempotency_key_reused`."""
        return key is not None and self.find(key) is not None

    def mark_done(self, key: IdempotencyKey) -> None:
        """Store that the command of a key was done; a second time changes nothing."""
        put = put_done(key)
        try:
            self._table.put(put.item, put.where)
        except ConditionFailed:
            return

    def create(self, new: Put, others: Sequence[Write], key: IdempotencyKey | None, answer: Answer) -> Answer:
        """Write `new`, an item with a new id, with `others`, and store `answer` under `key`: all or nothing.

        Returns the answer that counts: `answer`, or the one that was stored under the key before. Raises Cancelled if
        another condition did not hold, Refusal `idempotency_key_reused`, and Contended.
        """
        stored = [put_answer(key, answer)] if key else []

        def attempt() -> Answer:
            try:
                self._table.transact([new, *others, *stored])
            except Cancelled as cancelled:
                first, last = cancelled.reasons[0], cancelled.reasons[-1]
                if first.old == new.item:
                    # An earlier attempt of this very call, whose reply was lost: nobody else knows the id.
                    return answer
                if key and last.old:
                    return _answer(key, last.old)
                if any(reason.code == CONFLICT for reason in cancelled.reasons):
                    # Another request may be writing this key at the moment, and would then be the true reason.
                    raise Stale from cancelled
                raise
            return answer

        return retry_on_conflict(attempt)


def put_answer(key: IdempotencyKey, answer: Answer) -> Put:
    """Return the write that stores an answer under a key that was not used yet."""
    pk, sk = _key(key)
    item = {
        "pk": pk,
        "sk": sk,
        "fingerprint": key.fingerprint,
        "status": answer.status,
        "body": answer.body,
        "content_type": answer.content_type,
        "location": answer.location,
    }
    return Put(item, ABSENT)


def put_done(key: IdempotencyKey) -> Put:
    """Return the write that stores under a key that its command was done."""
    return put_answer(key, _DONE)


def _key(key: IdempotencyKey) -> Key:
    return f"K#{key.scope}", "K"


def _answer(key: IdempotencyKey, item: Item) -> Answer:
    key.check(item["fingerprint"])
    return Answer(item["status"], item["body"], item["content_type"], item["location"])
