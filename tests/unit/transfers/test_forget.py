"""A user who is deleted: their name leaves every record, whatever dies or runs meanwhile, and nothing else changes."""

import json
from typing import Any

import pytest
from common.events import Actor, Event
from common.idempotency import key_of
from common.tasks import Complete, Destination

from functions.transfers import service
from functions.transfers.domain import FORGOTTEN, First, Transfer, Unfinished
from functions.transfers.events import forget
from tests.support.memory_table import Call
from tests.support.rest import CONTEXT
from tests.unit.transfers.fakes import (
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


@pytest.fixture
def world() -> World:
    return World()


def _busy(world: World) -> list[First]:
    """Transfers that Bob sent, received, made between his own, and one that is not his."""
    return [
        world.send("1", destination=Destination(email=BOB_EMAIL)),
        world.send("2", caller=BOB, source=BOB_ACCOUNT, destination=Destination(account_id=ANN_ACCOUNT)),
        world.send("3", caller=BOB, source=BOB_ACCOUNT, destination=Destination(email=BOB_EMAIL)),
        world.send("4", destination=Destination(account_id=EVE_ACCOUNT)),
        world.deposit("5"),
    ]


def _names(world: World) -> str:
    """All that the table holds in the clear; the first answers are deflated."""
    return json.dumps([{**item, "answer": None} for item in world.table.items()])


def test_a_name_and_an_alias_leave_every_record_and_every_event(world: World) -> None:
    _busy(world)
    before = {item["id"]: item for item in world.records()}
    for _ in range(2):
        world.service.forget(BOB)
    assert "Bob" not in _names(world)
    assert BOB_EMAIL not in _names(world)
    for item in world.records():
        was, now = Transfer.of(before[item["id"]]), Transfer.of(item)
        assert now == was.without(BOB)
        for side, other in ((now.source, was.source), (now.destination, was.destination)):
            if side.owner_id == BOB:
                assert (side.display_name, side.alias) == (FORGOTTEN, None)
                assert (side.id, side.type, side.addressed) == (other.id, other.type, other.addressed)
            else:
                assert side == other
    assert "Ann A." in _names(world)


def test_a_deposit_forgets_its_owner_on_both_sides(world: World) -> None:
    world.deposit()
    world.service.forget(ANN)
    record = world.record()
    assert (record.source.display_name, record.destination.display_name) == (FORGOTTEN, FORGOTTEN)
    assert "Ann" not in _names(world)


def test_the_first_answers_and_what_was_told_stay(world: World) -> None:
    firsts = _busy(world)
    told = world.events()
    world.service.forget(BOB)
    assert world.send("1", destination=Destination(email=BOB_EMAIL)) == First(firsts[0].answer, replayed=True)
    assert body_of(firsts[0].answer)["destination"]["display_name"] == "Bob B."
    assert world.events() == told
    page, _ = world.service.transfers(ANN, service.Filter(), 10, None, None)
    assert len(page) == 4


@pytest.mark.parametrize("number", range(40))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_death_at_any_call_is_finished_by_the_next(world: World, number: int, moment: str) -> None:
    _busy(world)
    left = [number]

    def die(call: Call) -> None:
        if call.moment == moment:
            left[0] -= 1
            if left[0] < 0:
                world.table.hook = None
                raise Crash

    world.table.hook = die
    try:
        world.service.forget(BOB)
    except Crash:
        world.service.forget(BOB)
    assert "Bob" not in _names(world)
    assert len(world.events()) == 9


def test_a_call_is_bounded_and_the_next_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_FORGOTTEN_A_CALL", 2)
    _busy(world)
    with pytest.raises(Unfinished):
        world.service.forget(BOB)
    assert (
        len([item for item in world.records() if FORGOTTEN in json.dumps([item["source"], item["destination"]])]) == 2
    )
    world.service.forget(BOB)
    assert "Bob" not in _names(world)
    world.service.forget(BOB)


def _pending(world: World) -> Transfer:
    world.sagas.faults = ["crash"]
    with pytest.raises(Crash):
        world.send(destination=Destination(email=BOB_EMAIL))
    return world.record()


@pytest.mark.parametrize("gone", [(BOB,), (ANN,), (BOB, ANN)])
def test_a_pending_transfer_of_theirs_still_completes_without_the_name(world: World, gone: tuple[str, ...]) -> None:
    pending = _pending(world)
    for user_id in gone:
        world.service.forget(user_id)
    completed = world.service.complete(Complete(pending.item(), "posted", at="2026-11-21"))
    again = world.service.complete(Complete(pending.item(), "posted", at="2026-11-21"))
    assert completed == again
    assert (completed.outcome, completed.status) == ("completed", 201)
    assert world.record().status == "completed"
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.completed"]
    names = {"Bob": BOB, "Ann": ANN}
    for name, user_id in names.items():
        assert (name in _names(world) + completed.body) == (user_id not in gone)
    data = world.events()[1]["data"]
    assert data["destination_name"] == (FORGOTTEN if BOB in gone else "Bob B.")
    assert (data["payer_id"], data["payee_id"]) == (ANN, BOB)


def test_recovery_takes_a_pending_transfer_of_theirs_to_its_end(world: World) -> None:
    _pending(world)
    world.service.forget(BOB)
    world.clock.advance(minutes=1)
    world.service.recover()
    world.sagas.finish()
    assert world.record().status == "completed"
    assert "Bob" not in _names(world)


@pytest.mark.parametrize("number", range(8))
def test_a_transfer_that_ends_while_it_is_forgotten_has_ended_and_is_forgotten(world: World, number: int) -> None:
    pending = _pending(world)
    left = [number]

    def meanwhile(call: Call) -> None:
        left[0] -= 1
        if left[0] < 0:
            world.table.hook = None
            world.service.complete(Complete(pending.item(), "posted", at="2026-11-21"))

    world.table.hook = meanwhile
    world.service.forget(BOB)
    world.table.hook = None
    world.service.complete(Complete(pending.item(), "posted", at="2026-11-21"))
    assert world.record().status == "completed"
    assert "Bob" not in _names(world)
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.completed"]


def test_two_who_are_forgotten_at_once_both_are(world: World) -> None:
    _busy(world)

    def meanwhile(call: Call) -> None:
        if call.operation == "update":
            world.table.hook = None
            world.service.forget(ANN)
            world.service.forget(BOB)

    world.table.hook = meanwhile
    world.service.forget(BOB)
    assert "Bob" not in _names(world)
    assert "Ann" not in _names(world)
    assert len([item for item in world.records() if item["status"] == "completed"]) == 4


def test_the_key_of_a_record_is_known_by_it_alone(world: World) -> None:
    """A record of the time before it kept its key's scope: what the key tells is out of reach, the record is not."""
    world.send(destination=Destination(email=BOB_EMAIL))
    (record,) = world.records()
    world.table.put({name: value for name, value in record.items() if name != "key"})
    world.service.forget(BOB)
    assert world.record().destination.display_name == FORGOTTEN
    key = key_of(ANN, "POST", "/v1/transfers", "key-1", {}, b"secret")
    assert record["key"] == key.scope


def _message(event: Event) -> dict[str, Any]:
    body = json.dumps(event.item())
    return {"messageId": "0", "body": body, "eventSource": "aws:sqs", "attributes": {}, "messageAttributes": {}}


def test_the_queue_brings_who_was_deleted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "service", lambda: world.service)
    monkeypatch.setattr(service, "_FORGOTTEN_A_CALL", 2)
    _busy(world)
    data = {"user_id": BOB, "status": "deleted"}
    batch = {"Records": [_message(Event.new("user.deleted", BOB, 9, world.clock(), data, Actor(BOB)))]}
    assert forget.handler(batch, CONTEXT) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert forget.handler(batch, CONTEXT) == {"batchItemFailures": []}
    assert "Bob" not in _names(world)
