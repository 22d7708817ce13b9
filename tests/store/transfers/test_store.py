"""The stores over moto and over the in-memory table alike: what they write, refuse and find."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import moto
import pytest
from common import clock, ids
from common.contracts.accounts import Party
from common.contracts.events import Actor
from common.contracts.transfers import Complete
from common.dynamo import Cancelled, ConditionFailed, Table
from common.errors import Stale
from common.events import OUTBOX
from common.idempotency import Answer, IdempotencyKey

from functions.transfers.domain.declines import MAX_DECLINES_PER_HOUR, hour_of
from functions.transfers.domain.deposits import RailAnswer
from functions.transfers.domain.intents import KeyBinding
from functions.transfers.domain.recovery import DueTransfer, due_shard, first_due_at
from functions.transfers.domain.transfers import Transfer, TransferState
from functions.transfers.domain.users import without_personal_data
from functions.transfers.models.resources import respond
from functions.transfers.store.history import HistoryStore
from functions.transfers.store.recovery import RecoveryStore
from functions.transfers.store.transfers import TransferStore
from functions.transfers.store.users import UserStore
from tests.support.memory_table import Call, Conflict, MemoryTable
from tests.support.tables import create_table

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ANN, BOB = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
KEY = IdempotencyKey("scope", ("fingerprint",))


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


@pytest.fixture
def history(table: Table) -> HistoryStore:
    return HistoryStore(table)


@pytest.fixture
def recovery(table: Table) -> RecoveryStore:
    return RecoveryStore(table)


@pytest.fixture
def users(table: Table) -> UserStore:
    return UserStore(table)


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
    store: TransferStore, record: Transfer, key: IdempotencyKey = KEY, answer: Answer | None = None
) -> KeyBinding | None:
    return store.create(record, key, record.event(NOW, Actor(ANN)), first_due_at(record.kind, NOW), answer)


def closed(record: Transfer, outcome: str = "posted", code: str = "") -> Transfer:
    return record.ended(Complete({}, outcome, code, "2026-11-21T09:30:01.000Z"), NOW)  # type: ignore[arg-type]


def close(store: TransferStore, ended: Transfer) -> TransferState:
    return store.close(ended, ended.event(NOW, Actor(ANN)), respond(ended))


def test_an_intent_and_its_key_are_written_together(store: TransferStore, table: Table) -> None:
    record = transfer()
    assert create(store, record) is None
    assert store.find(record.id) == (record, None, 0)
    assert store.find_binding(KEY.scope) == KeyBinding("fingerprint", record.id)
    key, item = sorted(table.scan(), key=lambda item: str(item["pk"]))
    assert OUTBOX in key
    assert "transfer.created" in key[OUTBOX]
    assert OUTBOX not in item
    assert (item["payer"], item["due_shard"]) == (ANN, due_shard(record.id))
    assert "payee" not in item
    assert item["due_at"] == "2026-11-21T09:30:30.000Z"


def test_a_used_key_writes_nothing_and_returns_its_binding(store: TransferStore, table: Table) -> None:
    first, second = transfer(), transfer()
    create(store, first)
    assert create(store, second, IdempotencyKey("scope", ("another",))) == KeyBinding("fingerprint", first.id)
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
        create(store, record, IdempotencyKey("other", ("fingerprint",)))
    assert store.find_binding("other") is None


def test_an_answer_is_stored_byte_for_byte(store: TransferStore) -> None:
    answer = Answer(422, '{"detail":"\\u00fc"} ', "application/problem+json")
    record = transfer()
    create(store, record, answer=answer)
    assert store.find(record.id) == (record, answer, 0)
    assert store.keep_answer(record.id, respond(record)) == answer


def test_the_first_answer_is_the_one_that_counts(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    pending = respond(record)
    assert store.keep_answer(record.id, pending) == pending
    assert store.keep_answer(record.id, replace(pending, status=500)) == pending
    ended = closed(record)
    stored = close(store, ended)
    assert stored == (ended, pending, 0)
    with pytest.raises(ConditionFailed):
        store.keep_answer("trf_other", pending)
    assert store.find("trf_other") is None


@pytest.mark.parametrize(("outcome", "code"), [("posted", ""), ("declined", "account_frozen"), ("failed", "")])
def test_closing_is_once(store: TransferStore, table: Table, outcome: str, code: str, recovery: RecoveryStore) -> None:
    record = transfer()
    create(store, record)
    ended = closed(record, outcome, code)
    stored = close(store, ended)
    assert stored == (ended, respond(ended), 0)
    late = closed(record, "failed" if outcome == "posted" else "posted")
    assert close(store, late) == stored
    assert store.find(record.id) == stored
    item = table.get((f"T#{record.id}", "R"))
    assert item is not None
    assert not {"due_at", "due_shard"} & set(item)
    assert f"transfer.{ended.status}" in item[OUTBOX]
    assert list(recovery.due(due_shard(record.id), "9999", 10)) == []


def test_closing_from_a_stale_record_is_a_fault(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    for stale in (replace(closed(record), sequence=9), closed(transfer())):
        with pytest.raises(ConditionFailed):
            close(store, stale)
    assert store.find(record.id) == (record, None, 0)


def test_history_merges_sent_and_received(store: TransferStore, history: HistoryStore) -> None:
    out, into, own, other = transfer(1), transfer(2, BOB, ANN), transfer(3, ANN, ANN), transfer(4, BOB, BOB)
    deposit = transfer(5, ANN, ANN, "card")
    unseen = transfer(6)
    for number, record in enumerate((out, into, own, other, deposit, unseen)):
        create(store, record, IdempotencyKey(f"{number}", ("f",)))
    out, into = (close(store, closed(record)).transfer for record in (out, into))
    for chunk in (1, 2, 100):
        assert list(history.list(ANN, "", "~", chunk)) == [unseen, deposit, own, into, out]
        assert list(history.list(BOB, "", "~", chunk)) == [other, into, out]
    assert list(history.list(ANN, into.id, own.id, 10)) == [own, into]
    assert list(history.list(ANN, "~", "", 10)) == []


def test_an_empty_range_of_ids_makes_no_call() -> None:
    """AWS refuses a BETWEEN whose lower bound is above the upper one; moto accepts it."""
    table = MemoryTable()
    assert list(HistoryStore(table).list(ANN, "trf_2", "trf_1", 10)) == []
    assert table.calls == []


def test_the_largest_record_fits_with_its_answer() -> None:
    table = MemoryTable()
    store = TransferStore(table)
    chance = random.Random(1)
    text = "".join(chr(chance.randrange(0x20000, 0x2A000)) for _ in range(540 * 50))
    metadata = {text[n : n + 40]: text[n + 40 : n + 540] for n in range(0, len(text), 540)}
    record = replace(transfer(), description=text[:500], metadata=metadata)
    create(store, record)
    ended = closed(record)
    assert close(store, ended).answer == respond(ended)


def test_creating_again_after_a_lost_reply_while_another_transaction_writes_the_key() -> None:
    table = MemoryTable()
    store, record = TransferStore(table), transfer()
    create(store, record)

    def meet(_: Call) -> None:
        table.hook = None
        raise Conflict(0)

    table.hook = meet
    assert create(store, record) is None


def test_due_transfers_are_past_their_time_oldest_first(store: TransferStore, recovery: RecoveryStore) -> None:
    record = transfer()
    create(store, record)
    shard = due_shard(record.id)
    due_at = first_due_at("transfer", NOW)
    assert list(recovery.due(shard, due_at, 10)) == []
    later = clock.timestamp(NOW + timedelta(seconds=31))
    (due,) = recovery.due(shard, later, 10)
    assert due == DueTransfer(record.id, due_at)
    assert list(recovery.due(shard, later, 0)) == []


def test_a_due_transfer_is_claimed_by_one(store: TransferStore, recovery: RecoveryStore) -> None:
    record = transfer()
    create(store, record)
    due = DueTransfer(record.id, first_due_at("transfer", NOW))
    assert recovery.claim(due, "2026-11-21T09:40:00.000Z")
    assert not recovery.claim(due, "2026-11-21T09:41:00.000Z")
    assert list(recovery.due(due_shard(record.id), "9999", 10)) == [DueTransfer(record.id, "2026-11-21T09:40:00.000Z")]
    stored = store.find(record.id)
    assert stored is not None
    assert stored.attempts == 1
    assert not recovery.claim(DueTransfer("trf_other", "x"), "y")
    assert store.find("trf_other") is None


def test_what_a_usual_transfer_costs() -> None:
    """Write units: 2 + 2 for the key and the record in their transaction, 2 to close. The indexes take 2 and 2 more."""
    table = MemoryTable()
    store = TransferStore(table)
    record = replace(
        transfer(), description="Rent for November", metadata={}, trace_id="b1a7c1f2-1111-4222-8333-444455556666"
    )
    agent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0"
    actor = Actor(ANN, "ses_01K0000000000000000000000A", "203.0.113.77", agent)
    key = IdempotencyKey("a" * 64, ("1:" + "b" * 64,))
    store.create(record, key, record.event(NOW, actor), first_due_at("transfer", NOW), None)
    ended = closed(record)
    close(store, ended)
    assert [(call.operation, call.units) for call in table.calls] == [("transact", 4), ("update", 2)]


def test_deleting_personal_data_writes_one_party_and_removes_the_events(
    store: TransferStore, table: Table, users: UserStore
) -> None:
    record = transfer()
    create(store, record)
    ended = closed(record)
    close(store, ended)
    before = table.get((f"T#{record.id}", "R"))
    assert before is not None
    (old,) = users.records(BOB)
    assert old == (ended, KEY.scope)
    for _ in range(2):
        users.replace_parties(old, without_personal_data(ended, BOB))
    destination = {name: value for name, value in before["destination"].items() if name != "alias"}
    after = {**before, "destination": {**destination, "display_name": "Deleted user"}}
    del after[OUTBOX]
    assert table.get((f"T#{record.id}", "R")) == after
    key = table.get((f"K#{KEY.scope}", "K"))
    assert key is not None
    assert (OUTBOX in key, store.find_binding(KEY.scope)) == (False, KeyBinding("fingerprint", record.id))
    users.replace_parties(old, without_personal_data(ended, ANN))
    assert table.get((f"T#{record.id}", "R")) == {
        **after,
        "source": {**before["source"], "display_name": "Deleted user"},
    }
    without_both = without_personal_data(without_personal_data(ended, ANN), BOB)
    assert [each.transfer for each in users.records(ANN)] == [without_both]


def test_a_record_whose_party_was_deleted_is_closed_only_in_its_current_state(
    store: TransferStore, users: UserStore
) -> None:
    record = transfer()
    create(store, record)
    (old,) = users.records(BOB)
    users.replace_parties(old, without_personal_data(record, BOB))
    stale = closed(record)
    stored = close(store, stale)
    assert stored == (without_personal_data(record, BOB), None, 0)
    ended = closed(stored.transfer)
    assert close(store, ended).transfer == ended


def answered(record: Transfer, outcome: str, operation: str = "collect", code: str = "") -> Transfer:
    return record.answered(RailAnswer(record.id, operation, outcome, code))  # type: ignore[arg-type]


def due_ids(recovery: RecoveryStore, record: Transfer) -> list[tuple[str, str]]:
    return list(recovery.due(due_shard(record.id), "9999", 10))


def test_a_rail_answer_is_recorded_for_the_state_that_was_read(store: TransferStore, recovery: RecoveryStore) -> None:
    record = transfer()
    create(store, record)
    declined = answered(record, "declined", code="card_declined")
    store.record_rail_answer(record, declined, "2026-11-21T09:31:00.000Z")
    assert store.find(record.id) == (declined, None, 0)
    confirmed = answered(declined, "confirmed")
    with pytest.raises(Stale):
        store.record_rail_answer(record, answered(record, "confirmed"), "2026-11-21T09:31:00.000Z")
    with pytest.raises(Stale):
        store.record_rail_answer(closed(declined), confirmed, "2026-11-21T09:31:00.000Z")
    with pytest.raises(Stale):
        store.record_rail_answer(transfer(), answered(transfer(), "confirmed"), "2026-11-21T09:31:00.000Z")
    store.record_rail_answer(declined, confirmed, "2026-11-21T09:31:00.000Z")
    assert store.find(record.id) == (replace(record, rail_outcome="confirmed"), None, 0)
    assert due_ids(recovery, record) == [(record.id, first_due_at("transfer", NOW))], "as due as before"


@pytest.mark.parametrize(("outcome", "code"), [("declined", "card_declined"), ("failed", "")])
def test_a_transfer_does_not_end_without_a_posting_once_its_rail_has_confirmed(
    store: TransferStore, recovery: RecoveryStore, outcome: str, code: str
) -> None:
    record = transfer()
    create(store, record)
    confirmed = answered(record, "confirmed")
    store.record_rail_answer(record, confirmed, "2026-11-21T09:31:00.000Z")
    with pytest.raises(ConditionFailed):
        close(store, closed(record, outcome, code))
    assert store.find(record.id) == (confirmed, None, 0)
    assert len(due_ids(recovery, record)) == 1
    refunded = answered(confirmed, "confirmed", "refund")
    store.record_rail_answer(confirmed, refunded, "2026-11-21T09:32:00.000Z")
    stored = close(store, closed(record, "returned"))
    assert stored.transfer == replace(closed(refunded, "returned"), rail_outcome="refunded")
    assert (stored.transfer.status, stored.transfer.decline_code) == ("failed", "returned")
    assert due_ids(recovery, record) == []


def test_a_transfer_whose_rail_has_confirmed_completes(store: TransferStore) -> None:
    record = transfer()
    create(store, record)
    confirmed = answered(record, "confirmed")
    store.record_rail_answer(record, confirmed, "2026-11-21T09:31:00.000Z")
    # The saga's copy of the record is older than the answer.
    assert close(store, closed(record)).transfer == closed(confirmed)


@pytest.mark.parametrize(("outcome", "code"), [("declined", "card_declined"), ("failed", "")])
def test_a_confirmation_after_the_end_is_due_until_it_is_refunded(
    store: TransferStore, recovery: RecoveryStore, outcome: str, code: str
) -> None:
    record = transfer()
    create(store, record)
    ended = closed(record, outcome, code)
    close(store, ended)
    assert due_ids(recovery, record) == []
    confirmed = answered(ended, "confirmed")
    store.record_rail_answer(ended, confirmed, "2026-11-21T09:31:00.000Z")
    assert due_ids(recovery, record) == [(record.id, "2026-11-21T09:31:00.000Z")]
    assert recovery.claim(DueTransfer(record.id, "2026-11-21T09:31:00.000Z"), "2026-11-21T09:32:00.000Z")
    refunded = answered(confirmed, "confirmed", "refund")
    store.record_rail_answer(confirmed, refunded, "2026-11-21T09:33:00.000Z")
    assert due_ids(recovery, record) == []
    stored = store.find(record.id)
    assert stored is not None
    assert stored.transfer == refunded
    assert not recovery.claim(DueTransfer(record.id, "2026-11-21T09:32:00.000Z"), "2026-11-21T09:34:00.000Z")


def test_a_key_and_the_declines_are_looked_up_together(store: TransferStore, table: Table) -> None:
    hour, next_hour = hour_of(NOW), hour_of(NOW + timedelta(hours=1))
    assert store.look_up(KEY.scope, ANN, hour) == (None, 0)
    record = transfer()
    create(store, record)
    assert store.look_up(KEY.scope, ANN, hour) == (KeyBinding("fingerprint", record.id), 0)
    for cause in ("req-1", "req-1", "req-2", "req-2"):
        assert store.count_decline(ANN, hour, cause), "a retry is counted once, and is not the limit"
    assert store.look_up(KEY.scope, ANN, hour) == (KeyBinding("fingerprint", record.id), 2)
    assert store.look_up("unused", ANN, hour) == (None, 2)
    assert store.look_up("unused", ANN, next_hour) == (None, 0)
    assert store.look_up("unused", BOB, hour) == (None, 0)
    item = table.get((f"D#{ANN}#2026-11-21T09:00:00.000Z", "D"))
    assert item is not None
    assert item["expires_at"] == int(datetime(2026, 11, 21, 10, tzinfo=UTC).timestamp())


def test_declines_are_counted_up_to_the_limit(store: TransferStore) -> None:
    hour = hour_of(NOW)
    counted = [store.count_decline(ANN, hour, f"req-{number}") for number in range(MAX_DECLINES_PER_HOUR + 2)]
    assert counted == [True] * MAX_DECLINES_PER_HOUR + [False] * 2
    assert store.count_decline(ANN, hour, f"req-{MAX_DECLINES_PER_HOUR - 1}"), "the retry of the last one"
    assert store.look_up("unused", ANN, hour) == (None, MAX_DECLINES_PER_HOUR)


@pytest.mark.parametrize(
    ("outcome", "listed"), [("", False), ("posted", True), ("declined", False), ("failed", False), ("returned", False)]
)
def test_a_payees_list_has_what_moved_money(
    store: TransferStore, history: HistoryStore, table: Table, outcome: str, listed: bool
) -> None:
    record = transfer()
    create(store, record)
    if outcome:
        close(store, closed(record, outcome, "account_frozen"))
    assert [each.id for each in history.list(BOB, "", "~", 10)] == [record.id] * listed
    assert [each.id for each in history.list(ANN, "", "~", 10)] == [record.id]
    item = table.get((f"T#{record.id}", "R"))
    assert item is not None
    assert item.get("payee") == ({"": None, "posted": BOB}.get(outcome, f"hidden#{BOB}"))


def test_the_records_of_a_deleted_user_are_found_pending_and_hidden(store: TransferStore, users: UserStore) -> None:
    pending, declined, failed, posted, foreign = (transfer(number) for number in range(5))
    foreign = replace(foreign, destination=replace(foreign.destination, owner_id="usr_eve"))
    for number, record in enumerate((pending, declined, failed, posted, foreign)):
        create(store, record, IdempotencyKey(f"{number}", ("f",)))
    for record, outcome in ((declined, "declined"), (failed, "failed"), (posted, "posted")):
        close(store, closed(record, outcome, "account_frozen"))
    found = [each.transfer.id for each in users.records(BOB)]
    assert sorted(found) == sorted(record.id for record in (pending, declined, failed, posted))
    assert {each.transfer.id for each in users.records(ANN)} >= {foreign.id, pending.id, declined.id}
