"""A user is deleted: every record loses their name, despite crashes and concurrent work, and nothing else changes."""

import json
from typing import Any

import pytest
from common.contracts.accounts import Destination
from common.contracts.events import Actor, Event
from common.idempotency import KeyedAnswer, scope_of

from functions.transfers.domain.history import TransferFilter
from functions.transfers.domain.transfers import Transfer
from functions.transfers.domain.users import DELETED_USER_NAME, Unfinished, without_personal_data
from functions.transfers.events import users as users_queue
from functions.transfers.models.resources import TransferResource
from functions.transfers.service import users
from tests.support.memory_table import Call
from tests.support.rest import CONTEXT
from tests.unit.transfers.world import (
    ANN,
    ANN_ACCOUNT,
    BOB,
    BOB_ACCOUNT,
    BOB_EMAIL,
    EVE_ACCOUNT,
    Crash,
    World,
    body_of,
)


def _send_several(world: World) -> list[KeyedAnswer]:
    """Transfers that Bob sent, received and made between his own accounts, and two that are not his."""
    return [
        world.send("1", destination=Destination(email=BOB_EMAIL)),
        world.send("2", caller=BOB, source=BOB_ACCOUNT, destination=Destination(account_id=ANN_ACCOUNT)),
        world.send("3", caller=BOB, source=BOB_ACCOUNT, destination=Destination(email=BOB_EMAIL)),
        world.send("4", destination=Destination(account_id=EVE_ACCOUNT)),
        world.deposit("5"),
    ]


def _names(world: World) -> str:
    """Everything in the table that is readable; the first answers are compressed."""
    return json.dumps([{**item, "answer": None} for item in world.table.items()])


def test_names_and_aliases_are_removed_from_every_record_and_event(world: World) -> None:
    _send_several(world)
    before = {item["id"]: item for item in world.records()}
    for _ in range(2):
        world.users.delete_personal_data(BOB)
    assert "Bob" not in _names(world)
    assert BOB_EMAIL not in _names(world)
    for item in world.records():
        was, now = Transfer.from_record(before[item["id"]]), Transfer.from_record(item)
        assert now == without_personal_data(was, BOB)
        for side, other in ((now.source, was.source), (now.destination, was.destination)):
            if side.owner_id == BOB:
                assert (side.display_name, side.alias) == (DELETED_USER_NAME, None)
                assert (side.id, side.type, side.addressed) == (other.id, other.type, other.addressed)
            else:
                assert side == other
    assert "Ann A." in _names(world)


def test_a_deposit_loses_its_owners_name_on_both_sides(world: World) -> None:
    world.deposit()
    world.users.delete_personal_data(ANN)
    record = world.record()
    assert (record.source.display_name, record.destination.display_name) == (DELETED_USER_NAME, DELETED_USER_NAME)
    assert "Ann" not in _names(world)


def test_first_answers_and_published_events_stay(world: World) -> None:
    firsts = _send_several(world)
    published = world.events()
    world.users.delete_personal_data(BOB)
    assert world.send("1", destination=Destination(email=BOB_EMAIL)) == KeyedAnswer(firsts[0].answer, replayed=True)
    assert body_of(firsts[0].answer)["destination"]["display_name"] == "Bob B."
    assert world.events() == published
    page, _ = world.history.list(ANN, TransferFilter(), 10)
    assert len(page) == 4


@pytest.mark.parametrize("number", range(45))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_at_any_call_is_finished_by_the_next_call(world: World, number: int, moment: str) -> None:
    _send_several(world)
    left = [number]

    def crash(call: Call) -> None:
        if call.moment == moment:
            left[0] -= 1
            if left[0] < 0:
                world.table.hook = None
                raise Crash

    world.table.hook = crash
    try:
        world.users.delete_personal_data(BOB)
    except Crash:
        world.users.delete_personal_data(BOB)
    assert "Bob" not in _names(world)
    assert len(world.events()) == 9


def test_a_call_is_bounded_and_the_next_continues(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_MAX_RECORDS_PER_CALL", 2)
    _send_several(world)
    with pytest.raises(Unfinished):
        world.users.delete_personal_data(BOB)
    cleaned = [each for each in world.records() if DELETED_USER_NAME in repr([each["source"], each["destination"]])]
    assert len(cleaned) == 2
    world.users.delete_personal_data(BOB)
    assert "Bob" not in _names(world)
    world.users.delete_personal_data(BOB)


@pytest.mark.parametrize("gone", [(BOB,), (ANN,), (BOB, ANN)])
def test_a_pending_transfer_of_a_deleted_user_completes_without_the_name(world: World, gone: tuple[str, ...]) -> None:
    pending = world.interrupted(destination=Destination(email=BOB_EMAIL))
    for user_id in gone:
        world.users.delete_personal_data(user_id)
    completed = world.complete(pending)
    again = world.complete(pending)
    assert completed == again
    assert (completed.outcome, completed.status) == ("completed", 201)
    assert world.record().status == "completed"
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.completed"]
    names = {"Bob": BOB, "Ann": ANN}
    for name, user_id in names.items():
        assert (name in _names(world) + completed.body) == (user_id not in gone)
    data = world.events()[1]["data"]
    assert data["destination_name"] == (DELETED_USER_NAME if BOB in gone else "Bob B.")
    assert (data["payer_id"], data["payee_id"]) == (ANN, BOB)


def test_recovery_ends_a_pending_transfer_of_a_deleted_user(world: World) -> None:
    world.interrupted(destination=Destination(email=BOB_EMAIL))
    world.users.delete_personal_data(BOB)
    world.clock.advance(minutes=1)
    world.recovery.run()
    world.sagas.finish()
    assert world.record().status == "completed"
    assert "Bob" not in _names(world)


@pytest.mark.parametrize(("outcome", "status"), [("posted", "completed"), ("declined", "declined")])
@pytest.mark.parametrize("number", range(80))
def test_a_transfer_that_ends_during_the_deletion_ends_without_the_name(
    world: World, number: int, outcome: str, status: str
) -> None:
    pending = world.interrupted(destination=Destination(email=BOB_EMAIL))
    left = [number]

    def interfere(call: Call) -> None:
        left[0] -= 1
        if left[0] < 0:
            world.table.hook = None
            world.complete(pending, outcome, "account_frozen")

    world.table.hook = interfere
    world.users.delete_personal_data(BOB)
    world.table.hook = None
    world.complete(pending, outcome, "account_frozen")
    assert world.record().status == status
    assert "Bob" not in _names(world)
    assert [event["type"] for event in world.events()] == ["transfer.created", f"transfer.{status}"]


def test_a_transfer_that_the_payee_never_saw_loses_their_name_too(world: World) -> None:
    world.ledger.decline = "account_frozen"
    world.send("declined", destination=Destination(email=BOB_EMAIL))
    world.ledger.decline = ""
    world.sagas.faults = ["crash"]
    with pytest.raises(Crash):
        world.send("pending", destination=Destination(email=BOB_EMAIL))
    for _ in range(2):
        world.users.delete_personal_data(BOB)
    assert [item["destination"]["display_name"] for item in world.records()] == [DELETED_USER_NAME] * 2
    assert "Bob" not in _names(world)
    assert BOB_EMAIL not in _names(world)
    shown = [TransferResource.of(Transfer.from_record(item), ANN).destination for item in world.records()]
    assert [each.display_name for each in shown] == [DELETED_USER_NAME] * 2


def test_two_users_are_deleted_at_once(world: World) -> None:
    _send_several(world)

    def interfere(call: Call) -> None:
        if call.operation == "update":
            world.table.hook = None
            world.users.delete_personal_data(ANN)
            world.users.delete_personal_data(BOB)

    world.table.hook = interfere
    world.users.delete_personal_data(BOB)
    assert "Bob" not in _names(world)
    assert "Ann" not in _names(world)
    assert len([item for item in world.records() if item["status"] == "completed"]) == 4


def test_a_record_without_a_key_scope_is_cleaned_too(world: World) -> None:
    """Older records do not store the scope of their key: the key's event can't be found, but the record is cleaned."""
    world.send(destination=Destination(email=BOB_EMAIL))
    (record,) = world.records()
    world.table.put({name: value for name, value in record.items() if name != "key"})
    world.users.delete_personal_data(BOB)
    assert world.record().destination.display_name == DELETED_USER_NAME
    assert record["key"] == scope_of(ANN, "POST", "/v1/transfers", "key-1")


def _message(event: Event) -> dict[str, Any]:
    body = json.dumps(event.item())
    return {"messageId": "0", "body": body, "eventSource": "aws:sqs", "attributes": {}, "messageAttributes": {}}


def test_user_deleted_is_consumed_until_it_is_finished(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_queue, "users", lambda: world.users)
    monkeypatch.setattr(users, "_MAX_RECORDS_PER_CALL", 2)
    _send_several(world)
    data = {"user_id": BOB, "status": "deleted"}
    batch = {"Records": [_message(Event.new("user.deleted", BOB, 9, world.clock(), data, Actor(BOB)))]}
    assert users_queue.handler(batch, CONTEXT) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert users_queue.handler(batch, CONTEXT) == {"batchItemFailures": []}
    assert "Bob" not in _names(world)
