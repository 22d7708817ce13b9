"""The items of the transfers table, from and to the domain's types.

Write units are counted by the kilobyte, and a record is written twice. So the `transfer.created` event is on the key's
item, which has space for it, and the first answer's body is compressed: a usual record takes one unit when it is
created and two when it ends.
"""

import zlib
from dataclasses import asdict

from common.contracts.events import Event
from common.dynamo import Item
from common.events import outbox
from common.idempotency import Answer, IdempotencyKey

from functions.transfers.domain.intents import KeyBinding
from functions.transfers.domain.recovery import due_shard
from functions.transfers.domain.transfers import Transfer, TransferState
from functions.transfers.store import keys


def binding_item(key: IdempotencyKey, transfer_id: str, created: Event) -> Item:
    """Return the item that binds an idempotency key to a transfer and publishes the transfer's first event."""
    pk, sk = keys.binding(key.scope)
    return {"pk": pk, "sk": sk, "fingerprint": key.fingerprint, "transfer_id": transfer_id, **outbox(created)}


def binding_of(item: Item) -> KeyBinding:
    """Return the binding of an item."""
    return KeyBinding(item["fingerprint"], item["transfer_id"])


def record_item(transfer: Transfer, key_scope: str, due_at: str, answer: Answer | None) -> Item:
    """Return the item of a new transfer."""
    pk, sk = keys.record(transfer.id)
    optional = {
        "payer": transfer.payer_id,
        "payee": payee_of(transfer),
        "answer": answer_item(answer) if answer else None,
    }
    return {
        **transfer.record(),
        **{name: value for name, value in optional.items() if value is not None},
        "pk": pk,
        "sk": sk,
        "key": key_scope,
        "due_shard": due_shard(transfer.id),
        "due_at": due_at,
    }


def payee_of(transfer: Transfer) -> str | None:
    """Return the transfer's partition of the `by_payee` index.

    It has none while it is pending and hidden from its payee, because each change of it costs two more write units.
    """
    if transfer.payee_id is None or transfer.is_visible_to_payee:
        return transfer.payee_id
    return None if transfer.status == "pending" else keys.hidden(transfer.payee_id)


def state_of(item: Item) -> TransferState:
    """Return the state of a record's item."""
    answer = answer_of(item["answer"]) if "answer" in item else None
    return TransferState(Transfer.from_record(item), answer, item.get("attempts", 0))


def answer_item(answer: Answer) -> Item:
    """Return an answer as an attribute, with the body compressed."""
    present = {name: value for name, value in asdict(answer).items() if value is not None}
    return {**present, "body": zlib.compress(answer.body.encode())}


def answer_of(item: Item) -> Answer:
    """Return the answer of an attribute."""
    return Answer(**{**item, "body": zlib.decompress(item["body"]).decode()})
