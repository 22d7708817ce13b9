"""Sending money: outcomes, replays, crashes, and concurrent requests."""

import json
from datetime import timedelta
from typing import Any

import pytest
from common.contracts.accounts import Destination
from common.errors import Refusal
from common.http.problems import PROBLEMS
from common.idempotency import Answer, KeyedAnswer

from functions.transfers.models.resources import respond
from tests.support.memory_table import Call
from tests.unit.transfers.scheduler import Scheduler
from tests.unit.transfers.world import (
    ANN,
    ANN_ACCOUNT,
    ANN_SAVINGS,
    BOB,
    BOB_ACCOUNT,
    BOB_EMAIL,
    EVE,
    EVE_ACCOUNT,
    Crash,
    World,
    body_of,
)


def test_send_returns_the_outcome_and_publishes_it(world: World) -> None:
    first = world.send(amount=1050, description="rent", metadata={"flat": "7"})
    body = body_of(first.answer)
    assert not first.replayed
    assert first.answer.status == 201
    assert first.answer.location == f"/v1/transfers/{body['id']}"
    assert first.answer.content_type == "application/json"
    assert body == {
        "id": world.record().id,
        "kind": "transfer",
        "status": "completed",
        "amount": 1050,
        "captured_amount": 0,
        "refunded_amount": 0,
        "currency": "USD",
        "source": {"type": "account", "id": ANN_ACCOUNT, "alias": None, "display_name": "Ann A."},
        "destination": {"type": "account", "id": BOB_ACCOUNT, "alias": None, "display_name": "Bob B."},
        "initiated_by": ANN,
        "description": "rent",
        "metadata": {"flat": "7"},
        "decline_code": None,
        "suspicious": False,
        "reference": None,
        "created_at": "2026-11-21T09:30:00.000Z",
        "completed_at": "2026-11-21T09:30:00.000Z",
    }
    (record,) = world.records()
    assert "due_at" not in record
    assert "due_shard" not in record
    created, completed = world.events()
    assert (created["type"], created["sequence"], created["subject"]) == ("transfer.created", 1, body["id"])
    assert (completed["type"], completed["sequence"], completed["subject"]) == ("transfer.completed", 2, body["id"])
    assert created["actor"]["ip"] == "203.0.113.7"
    assert completed["actor"]["user_id"] == ANN
    assert completed["data"] == {
        "transfer_id": body["id"],
        "kind": "transfer",
        "status": "completed",
        "amount": 1050,
        "currency": "USD",
        "description": "rent",
        "payer_id": ANN,
        "payee_id": BOB,
        "source_name": "Ann A.",
        "destination_name": "Bob B.",
        "code": "",
    }


def test_a_decline_is_recorded_and_replayed_byte_for_byte(world: World) -> None:
    world.ledger.decline = "insufficient_funds"
    first = world.send(trace_id="the first request")
    problem = body_of(first.answer)
    assert first.answer.status == 422
    assert first.answer.content_type == "application/problem+json"
    assert first.answer.location is None
    assert problem["code"] == "insufficient_funds"
    assert problem["transfer_id"] == world.record().id
    assert (problem["trace_id"], problem["instance"]) == ("the first request", "/v1/transfers")
    assert world.record().status == "declined"
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.declined"]
    assert world.events()[1]["data"]["code"] == "insufficient_funds"
    world.ledger.decline = ""
    assert world.send(trace_id="the second") == KeyedAnswer(first.answer, replayed=True)
    assert world.ledger.posted == []


def test_a_refusal_records_nothing_and_leaves_the_key_free(world: World) -> None:
    world.accounts.refusal = "payee_not_found"
    with pytest.raises(Refusal) as refused:
        world.send()
    assert refused.value.code == "payee_not_found"
    assert [item["sk"] for item in world.table.items()] == ["D"], "the decline is counted"
    world.accounts.refusal = ""
    assert world.send(amount=7).answer.status == 201


@pytest.mark.parametrize("decline", ["limit_exceeded", "account_frozen"])
def test_a_decline_by_an_accounts_rule_is_recorded_with_its_code(world: World, decline: str) -> None:
    world.ledger.decline = decline
    first = world.send()
    problem = body_of(first.answer)
    assert (first.answer.status, problem["code"], problem["transfer_id"]) == (422, decline, world.record().id)
    assert (world.record().status, world.record().decline_code) == ("declined", decline)
    assert world.events()[1]["data"]["code"] == decline
    world.ledger.decline = ""
    assert world.send() == KeyedAnswer(first.answer, replayed=True)


@pytest.mark.parametrize("refusal", ["pin_required", "invalid_pin", "pin_locked"])
def test_a_refusal_because_of_the_pin_is_not_recorded(world: World, refusal: str) -> None:
    world.accounts.refusal = refusal
    for pin in (None, "123456"):
        with pytest.raises(Refusal) as refused:
            world.send(pin=pin)
        assert (refused.value.code, PROBLEMS[refused.value.code].status) == (refusal, 422)
        assert refused.value.transfer_id is None
    assert world.table.changes == []
    world.accounts.refusal = ""
    assert world.send(pin="654321", amount=7).answer.status == 201, "the key is still free"


@pytest.mark.parametrize(
    "refusal",
    ["not_found", "payee_not_found", "pin_required", "invalid_pin", "pin_locked", "currency_mismatch"],
)
def test_a_replay_takes_precedence_over_a_refusal(world: World, refusal: str) -> None:
    first = world.send()
    world.accounts.refusal = refusal
    assert world.send() == KeyedAnswer(first.answer, replayed=True)


def test_a_replay_does_not_use_up_a_pin_attempt(world: World) -> None:
    first = world.send(pin="123456")
    requests = len(world.accounts.requests)
    assert world.send(pin="999999") == KeyedAnswer(first.answer, replayed=True)
    assert len(world.accounts.requests) == requests
    world.accounts.refusal = "pin_required"  # the refusal of a request without a PIN, which uses up no attempt
    assert world.send(pin=None) == KeyedAnswer(first.answer, replayed=True)


def test_a_pin_is_passed_on_and_stored_nowhere(world: World) -> None:
    world.send(pin="739154")
    assert world.accounts.requests[0].pin == "739154"  # type: ignore[union-attr]
    assert "739154" not in repr(world.table.changes)
    assert "739154" not in json.dumps(world.record().saga_input())
    assert "739154" not in json.dumps(world.events())


@pytest.mark.parametrize("refusal", ["", "not_found"])
def test_a_key_with_another_body_is_refused(world: World, refusal: str) -> None:
    world.send(amount=100)
    world.accounts.refusal = refusal
    others: list[dict[str, Any]] = [
        {"amount": 101},
        {"source": ANN_SAVINGS},
        {"destination": Destination(email=BOB_EMAIL)},
    ]
    for other in others:
        with pytest.raises(Refusal) as reused:
            world.send(**other)
        assert reused.value.code == "idempotency_key_reused"
    assert len(world.records()) == 1


def test_a_key_is_its_callers_own(world: World) -> None:
    anns = world.send("same", amount=100)
    eves = world.send("same", amount=100, caller=EVE, source=EVE_ACCOUNT)
    assert body_of(anns.answer)["id"] != body_of(eves.answer)["id"]
    assert not eves.replayed
    assert len(world.ledger.posted) == 2


def test_a_key_of_a_transfer_is_not_one_of_a_deposit(world: World) -> None:
    world.send("same")
    deposit = world.deposit("same")
    assert not deposit.replayed
    assert len(world.records()) == 2


def test_a_202_stays_the_first_answer_after_the_transfer_completed(world: World) -> None:
    world.sagas.faults = ["before post"]
    first = world.send()
    assert first.answer.status == 202
    assert body_of(first.answer)["status"] == "pending"
    assert first.answer.location == f"/v1/transfers/{world.record().id}"
    world.clock.advance(seconds=31)
    world.recovery.run()
    world.sagas.finish()
    assert world.record().status == "completed"
    assert world.send() == KeyedAnswer(first.answer, replayed=True)


def test_a_transfer_that_completed_while_the_endpoint_gave_up_is_a_201(world: World) -> None:
    world.sagas.faults = ["after complete"]
    first = world.send()
    assert first.answer.status == 201
    assert world.send() == KeyedAnswer(first.answer, replayed=True)


def test_the_endpoint_gives_up_before_the_posting_is_closed(world: World) -> None:
    world.sagas.faults = ["after post"]
    first = world.send()
    assert first.answer.status == 202
    world.clock.advance(minutes=5)
    world.recovery.run()
    world.sagas.finish()
    assert world.ledger.posted == [world.record().id]
    assert world.send() == KeyedAnswer(first.answer, replayed=True)


def lost_once(moment: str, operation: str) -> Any:
    left = [1]

    def hook(call: Call) -> None:
        if (call.moment, call.operation) == (moment, operation) and left:
            left.pop()
            raise Crash

    return hook


@pytest.mark.parametrize(
    ("fault", "survives"),
    [
        (("before", "transact"), False),
        (("after", "transact"), True),
        (("before", "update"), True),
        (("after", "update"), True),
    ],
)
def test_a_crash_at_any_write_is_finished_by_retry_and_recovery(
    world: World, fault: tuple[str, str], survives: bool
) -> None:
    world.table.hook = lost_once(*fault)
    with pytest.raises(Crash):
        world.send()
    assert len(world.records()) == survives
    world.clock.advance(seconds=31)
    world.recovery.run()
    world.sagas.finish()
    answers = {world.send().answer for _ in range(3)}
    assert len(answers) == 1
    assert answers.pop().status == 201
    assert world.ledger.posted == [world.record().id]
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.completed"]


@pytest.mark.parametrize("fault", ["crash", "crash at the end"])
def test_an_endpoint_that_crashes_with_its_saga_leaves_no_second_transfer(world: World, fault: str) -> None:
    world.sagas.faults = [fault]
    with pytest.raises(Crash):
        world.send()
    if fault == "crash":
        with pytest.raises(Refusal) as waiting:
            world.send()
        assert (waiting.value.code, waiting.value.retry_after) == ("idempotency_in_progress", 1)
        world.clock.advance(minutes=1)
        world.recovery.run()
        world.sagas.finish()
    again = world.send()
    assert (again.replayed, again.answer.status) == (True, 201)
    assert len(world.ledger.posted) == 1


def test_a_create_that_the_sdk_repeats_is_not_a_replay(world: World) -> None:
    transact = world.table.transact

    def twice(writes: Any) -> None:
        transact(writes)
        transact(writes)

    world.table.transact = twice  # type: ignore[method-assign]
    first = world.send()
    assert (first.replayed, first.answer.status) == (False, 201)


def test_the_second_caller_waits_three_seconds_and_no_longer(world: World) -> None:
    begun = world.clock()

    def impatient() -> None:
        with pytest.raises(Refusal) as refused:
            world.send()
        assert refused.value.code == "idempotency_in_progress"
        assert refused.value.retry_after == 1

    world.sagas.between = impatient
    assert world.send().answer.status == 201
    assert timedelta(seconds=3) <= world.clock() - begun < timedelta(seconds=3.5)


def test_the_second_caller_gets_the_first_answer_as_soon_as_it_is_there(world: World) -> None:
    pending = world.interrupted()
    begun = world.clock()

    def sleep(seconds: float) -> None:
        world.clock.advance(seconds=seconds)
        if world.clock() - begun >= timedelta(seconds=1):
            world.complete(pending)

    world.sleep = sleep
    second = world.send()
    assert (second.replayed, second.answer.status) == (True, 201)
    assert world.clock() - begun < timedelta(seconds=2)


@pytest.mark.parametrize("seed", range(5))
def test_fifty_at_once_move_the_money_once_and_get_the_same_answer(world: World, seed: int) -> None:
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    world.sagas.between = lambda: scheduler.sleep(1)
    world.sleep = scheduler.sleep
    results = scheduler.run([world.send] * 50)
    assert {result.answer for result in results} == {results[0].answer}
    assert sorted(result.replayed for result in results) == [False] + [True] * 49
    assert world.sagas.runs == 1
    assert len(world.ledger.posted) == 1
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.completed"]


@pytest.mark.parametrize("seed", range(3))
def test_fifty_at_once_behind_a_slow_saga_are_asked_to_retry(world: World, seed: int) -> None:
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    world.sagas.between = lambda: scheduler.sleep(10)
    world.sleep = scheduler.sleep
    results = scheduler.run([world.send] * 50)
    (first,) = [result for result in results if isinstance(result, KeyedAnswer)]
    refused = [result for result in results if isinstance(result, Refusal)]
    assert first.answer.status == 201
    assert [problem.code for problem in refused] == ["idempotency_in_progress"] * 49
    assert world.send() == KeyedAnswer(first.answer, replayed=True)


@pytest.mark.parametrize("seed", range(3))
def test_two_bodies_under_one_key_at_once(world: World, seed: int) -> None:
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    world.sleep = scheduler.sleep
    results = scheduler.run([lambda: world.send(amount=1), lambda: world.send(amount=2)] * 10)
    answers = {result.answer for result in results if isinstance(result, KeyedAnswer)}
    refused = [result for result in results if isinstance(result, Refusal)]
    assert len(answers) == 1
    assert [problem.code for problem in refused] == ["idempotency_key_reused"] * 10
    assert len(world.ledger.posted) == 1


@pytest.mark.parametrize("seed", range(5))
def test_an_endpoint_that_gives_up_and_a_saga_that_ends_agree_on_one_answer(world: World, seed: int) -> None:
    pending = world.interrupted()
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    gives_up = world.store.keep_answer
    stored, completed = scheduler.run(
        [
            lambda: gives_up(pending.id, respond(pending)),
            lambda: world.complete(pending),
        ]
    )
    assert stored == Answer(completed.status, completed.body, completed.content_type, completed.location)
    assert world.send() == KeyedAnswer(stored, replayed=True)
    assert world.record().status == "completed"
