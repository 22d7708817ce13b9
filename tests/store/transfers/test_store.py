"""The store over moto and over the in-memory table alike: what it writes, refuses and finds."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import moto
import pytest
from common import clock, ids
from common.dynamo import Cancelled, ConditionFailed, Table
from common.events import OUTBOX, Actor
from common.idempotency import Answer, Idempotency
from common.tasks import Complete, Party

from functions.transfers.domain import Bound, Due, Transfer, due_first, due_shard
from functions.transfers.store import TransferStore
from tests.support.memory_table import Call, Conflict, MemoryTable
from tests.support.tables import create_table

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ANN, BOB = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
KEY = Idempotency("scope", "fingerprint")


@pytest.fixture(params=["moto", "memory"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
    else:
        with moto.mock_aws():
            client = boto3.client("dynamodb")
            yield Table(client, create_table(client, "transfers"))


@pytest.fixture
def store(table: Table) -> TransferStore:
    return TransferStore(table)


def transfer(seconds: int = 0, payer: str = ANN, payee: str = BOB, source: str = "account") -> Transfer:
    at = NOW + timedelta(seconds=seconds)
    return Transfer(
        id=ids.new_id("trf", at),
        kind="transfer",
        amount=10**15,
        currency="USD",
        source=Party(source, "acc_source", payer, "Ann A."),  # type: ignore[arg-type]
        destination=Party("account", "acc_destination", payee, "Bob B.", "bob@example.com", addressed=True),
        initiated_by=payer,
        description="",
        created_at=clock.timestamp(at),
        trace_id="req-1",
        instance="/v1/transfers",
        metadata={"status": "ünïcode"},
    )


def create(
    store: TransferStore, record: Transfer, key: Idempotency = KEY, answer: Answer | None = None
) -> Bound | None:
    return store.create(record, key, record.event(NOW, Actor(ANN)), due_first(record.kind, NOW), answer)


def closed(record: Transfer, outcome: str = "posted", code: str = "") -> Transfer:
    return record.closed(Complete({}, outcome, code, "2026-11-21T09:30:01.000Z"), NOW)  # type: ignore[arg-type]


def test_an_intent_and_its_key_are_written_together(store: TransferStore, table: Table) -> None:
    record = transfer()
    assert create(store, record) is None
    assert store.find(record.id) == (record, None, 0)
    assert store.bound(KEY.scope) == Bound("fingerprint", record.id)
    key, item = sorted(table.scan(), key=lambda item: str(item["pk"]))
    assert OUTBOX in key
    assert "transfer.created" in key[OUTBOX]
    assert OUTBOX not in item
    assert (item["payer"], item["payee"], item["due_shard"]) == (ANN, BOB, due_shard(record.id))
    assert item["due_at"] == "2026-11-21T09:30:30.000Z"


def test_a_taken_key_writes_nothing_and_says_what_it_is_bound_to(store: TransferStore, table: Table) -> None:
    first, second = transfer(), transfer()
    create(store, first)
    assert create(store, second, Idempotency("scope", "another")) == Bound("fingerprint", first.id)
    assert store.find(second.id) is None
    assert len(list(table.scan())) == 2


def test_creating_again_after_a_lost_reply_is_not_a_taken_key(store: TransferStore) -> None:
    record = transfer()
    assert create(store, record) is None
    assert create(store, record) is None


def test_a_taken_id_under_a_free_key_is_a_fault(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    with pytest.raises(Cancelled):
        create(store, record, Idempotency("other", "fingerprint"))
    assert store.bound("other") is None


def test_an_answer_is_kept_to_the_byte(store: TransferStore) -> None:
    answer = Answer(422, '{"detail":"\\u00fc"} ', "application/problem+json")
    record = transfer()
    create(store, record, answer=answer)
    assert store.find(record.id) == (record, answer, 0)
    assert store.keep_answer(record.id, record.answer()) == answer


def test_the_first_answer_is_the_one_that_counts(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    pending = record.answer()
    assert store.keep_answer(record.id, pending) == pending
    assert store.keep_answer(record.id, replace(pending, status=500)) == pending
    ended = closed(record)
    stored = store.close(ended, ended.event(NOW, Actor(ANN)), ended.answer())
    assert stored == (ended, pending, 0)
    with pytest.raises(ConditionFailed):
        store.keep_answer("trf_other", pending)
    assert store.find("trf_other") is None


@pytest.mark.parametrize(("outcome", "code"), [("posted", ""), ("declined", "account_frozen"), ("failed", "")])
def test_closing_is_once(store: TransferStore, table: Table, outcome: str, code: str) -> None:
    record = transfer()
    create(store, record)
    ended = closed(record, outcome, code)
    stored = store.close(ended, ended.event(NOW, Actor(ANN)), ended.answer())
    assert stored == (ended, ended.answer(), 0)
    late = closed(record, "failed" if outcome == "posted" else "posted")
    assert store.close(late, late.event(NOW, Actor(ANN)), late.answer()) == stored
    assert store.find(record.id) == stored
    item = table.get((f"T#{record.id}", "R"))
    assert item is not None
    assert not {"due_at", "due_shard"} & set(item)
    assert f"transfer.{ended.status}" in item[OUTBOX]
    assert list(store.due(due_shard(record.id), "9999", 10)) == []


def test_closing_from_a_stale_record_is_a_fault(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    for stale in (replace(closed(record), sequence=9), closed(transfer())):
        with pytest.raises(ConditionFailed):
            store.close(stale, stale.event(NOW, Actor(ANN)), stale.answer())
    assert store.find(record.id) == (record, None, 0)


def test_history_merges_what_went_out_and_came_in(store: TransferStore) -> None:
    out, into, own, other = transfer(1), transfer(2, BOB, ANN), transfer(3, ANN, ANN), transfer(4, BOB, BOB)
    deposit = transfer(5, ANN, ANN, "card")
    for number, record in enumerate((out, into, own, other, deposit)):
        create(store, record, Idempotency(f"{number}", "f"))
    for chunk in (1, 2, 100):
        assert list(store.history(ANN, "", "~", chunk)) == [deposit, own, into, out]
        assert list(store.history(BOB, "", "~", chunk)) == [other, into, out]
    assert list(store.history(ANN, into.id, own.id, 10)) == [own, into]
    assert list(store.history(ANN, "~", "", 10)) == []


def test_an_empty_range_of_ids_asks_nothing_of_the_table() -> None:
    """AWS refuses a BETWEEN with its bounds the wrong way round, which moto and the in-memory table let pass."""
    table = MemoryTable()
    assert list(TransferStore(table).history(ANN, "trf_2", "trf_1", 10)) == []
    assert table.calls == []


def test_the_largest_record_has_room_beside_its_answer() -> None:
    table = MemoryTable()
    store = TransferStore(table)
    chance = random.Random(1)
    text = "".join(chr(chance.randrange(0x20000, 0x2A000)) for _ in range(540 * 50))
    metadata = {text[n : n + 40]: text[n + 40 : n + 540] for n in range(0, len(text), 540)}
    record = replace(transfer(), description=text[:500], metadata=metadata)
    create(store, record)
    ended = closed(record)
    assert store.close(ended, ended.event(NOW, Actor(ANN)), ended.answer()).answer == ended.answer()


def test_creating_again_after_a_lost_reply_while_another_request_is_at_work_on_the_key() -> None:
    table = MemoryTable()
    store, record = TransferStore(table), transfer()
    create(store, record)

    def meet(_: Call) -> None:
        table.hook = None
        raise Conflict(0)

    table.hook = meet
    assert create(store, record) is None


def test_due_is_what_is_past_its_time_oldest_first(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    shard = due_shard(record.id)
    due_at = due_first("transfer", NOW)
    assert list(store.due(shard, due_at, 10)) == []
    later = clock.timestamp(NOW + timedelta(seconds=31))
    (due,) = store.due(shard, later, 10)
    assert due == Due(record.id, due_at)
    assert list(store.due(shard, later, 0)) == []


def test_a_due_transfer_is_claimed_by_one(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    due = Due(record.id, due_first("transfer", NOW))
    assert store.claim(due, "2026-11-21T09:40:00.000Z")
    assert not store.claim(due, "2026-11-21T09:41:00.000Z")
    assert list(store.due(due_shard(record.id), "9999", 10)) == [Due(record.id, "2026-11-21T09:40:00.000Z")]
    stored = store.find(record.id)
    assert stored is not None
    assert stored.attempts == 1
    assert not store.claim(Due("trf_other", "x"), "y")
    assert store.find("trf_other") is None


def test_what_a_usual_transfer_costs() -> None:
    """Write units: 2 + 2 for key and record in their transaction, 2 to close; indexes come on top (3 and 1)."""
    table = MemoryTable()
    store = TransferStore(table)
    record = replace(
        transfer(), description="Rent for November", metadata={}, trace_id="b1a7c1f2-1111-4222-8333-444455556666"
    )
    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0"
    actor = Actor(ANN, "ses_01K0000000000000000000000A", "203.0.113.77", agent)
    key = Idempotency("a" * 64, "b" * 64)
    store.create(record, key, record.event(NOW, actor), due_first("transfer", NOW), None)
    ended = closed(record)
    store.close(ended, ended.event(NOW, Actor(ANN)), ended.answer())
    assert [(call.operation, call.units) for call in table.calls] == [("transact", 4), ("update", 2)]


def test_forgetting_writes_one_side_and_removes_what_was_told(store: TransferStore, table: Table) -> None:
    record = transfer()
    create(store, record)
    ended = closed(record)
    store.close(ended, ended.event(NOW, Actor(ANN)), ended.answer())
    before = table.get((f"T#{record.id}", "R"))
    assert before is not None
    (kept,) = store.records(BOB)
    assert kept == (ended, KEY.scope)
    for _ in range(2):
        store.forget(kept, ended.without(BOB))
    destination = {name: value for name, value in before["destination"].items() if name != "alias"}
    after = {**before, "destination": {**destination, "display_name": "Deleted user"}}
    del after[OUTBOX]
    assert table.get((f"T#{record.id}", "R")) == after
    key = table.get((f"K#{KEY.scope}", "K"))
    assert key is not None
    assert (OUTBOX in key, store.bound(KEY.scope)) == (False, Bound("fingerprint", record.id))
    store.forget(kept, ended.without(ANN))
    assert table.get((f"T#{record.id}", "R")) == {
        **after,
        "source": {**before["source"], "display_name": "Deleted user"},
    }
    assert [each.transfer for each in store.records(ANN)] == [ended.without(ANN).without(BOB)]


def test_what_was_forgotten_meanwhile_is_closed_only_as_it_stands(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    (kept,) = store.records(BOB)
    store.forget(kept, record.without(BOB))
    stale = closed(record)
    stored = store.close(stale, stale.event(NOW, Actor(ANN)), stale.answer())
    assert stored == (record.without(BOB), None, 0)
    ended = closed(stored.transfer)
    assert store.close(ended, ended.event(NOW, Actor(ANN)), ended.answer()).transfer == ended
