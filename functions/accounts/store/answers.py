"""Answers kept under idempotency keys, in one transaction with what they tell of."""

from collections.abc import Sequence

from common.dynamo import ABSENT, CONFLICT, Cancelled, Contended, Item, Put, Table, Write
from common.idempotency import Answer, Idempotency

from functions.accounts.store import keys

_TRIES = 8


def earlier_answer(table: Table, key: Idempotency) -> Answer | None:
    """What was answered under a key. Raises Problem `idempotency_key_reused`."""
    item = table.get(keys.answer(key.scope))
    return _answer(key, item) if item else None


def write_once(
    table: Table, new: Put, others: Sequence[Write], key: Idempotency | None, answer: Answer
) -> Answer | None:
    """Writes `new`, an item with a fresh id that must not be there yet, and `others`, and keeps `answer` under `key`.

    Answers what stands: `answer`, or what the key was answered before; None, and nothing is written, where another
    condition failed. Raises Problem `idempotency_key_reused`, and Contended.
    """
    kept = [kept_answer(key, answer)] if key else []
    for _ in range(_TRIES):
        try:
            table.transact([new, *others, *kept])
        except Cancelled as cancelled:
            first, last = cancelled.reasons[0], cancelled.reasons[-1]
            if first.old == new.item:
                # An earlier try of this very call, whose reply was lost: nobody else knows the id.
                return answer
            if key and last.old:
                return _answer(key, last.old)
            if any(reason.code == CONFLICT for reason in cancelled.reasons):
                # The key may just be on its way in, and would then be the true reason.
                continue
            return None
        return answer
    raise Contended


def kept_answer(key: Idempotency, answer: Answer) -> Put:
    """Keeps an answer under a key that was not used yet."""
    pk, sk = keys.answer(key.scope)
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


def _answer(key: Idempotency, item: Item) -> Answer:
    key.check(item["fingerprint"])
    return Answer(item["status"], item["body"], item["content_type"], item["location"])
