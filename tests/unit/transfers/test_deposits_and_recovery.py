"""Deposits, closing a transfer, and what recovery finishes."""

from datetime import timedelta

import pytest
from common import clock
from common.dynamo import ConditionFailed
from common.errors import Problem
from common.tasks import Complete

from functions.transfers.domain import SHARDS, First, due_next, due_shard
from tests.unit.transfers.fakes import ANN, ANN_ACCOUNT, ANN_SAVINGS, CARD, Crash, World, body_of
from tests.unit.transfers.scheduler import Scheduler


@pytest.fixture
def world() -> World:
    return World()


def test_a_deposit_is_accepted_and_handed_to_its_saga(world: World) -> None:
    first = world.deposit(amount=500)
    body = body_of(first.answer)
    assert (first.answer.status, first.replayed) == (202, False)
    assert first.answer.location == f"/v1/transfers/{body['id']}"
    assert (body["kind"], body["status"], body["amount"]) == ("deposit", "pending", 500)
    assert body["source"] == {"type": "card", "id": CARD, "alias": None, "display_name": "VISA 4242"}
    assert body["destination"]["id"] == ANN_ACCOUNT
    assert world.sagas.started == [(body["id"], 0)]
    transfer = world.record()
    assert transfer.saga_input() == {
        "transfer": transfer.item(),
        "last4": "4242",
        "rail_account": "rail:sandbox:USD",
    }
    (record,) = world.records()
    assert "payer" not in record
    assert record["payee"] == ANN
    assert record["due_at"] == "2026-11-21T09:32:00.000Z"
    (created,) = world.events()
    assert (created["data"]["payer_id"], created["data"]["payee_id"]) == (None, ANN)


def test_a_deposit_keeps_its_first_answer_through_its_end(world: World) -> None:
    first = world.deposit()
    world.sagas.finish()
    assert world.record().status == "completed"
    assert world.deposit() == First(first.answer, replayed=True)
    world.accounts.refusal = "not_found"
    assert world.deposit() == First(first.answer, replayed=True)
    with pytest.raises(Problem) as reused:
        world.deposit(account=ANN_SAVINGS)
    assert reused.value.code == "idempotency_key_reused"


def test_a_refused_deposit_records_nothing(world: World) -> None:
    world.accounts.refusal = "currency_mismatch"
    with pytest.raises(Problem) as refused:
        world.deposit()
    assert refused.value.code == "currency_mismatch"
    assert world.table.items() == []


def test_a_deposit_whose_saga_does_not_start_is_started_by_recovery(world: World) -> None:
    world.sagas.unavailable = {"*"}
    first = world.deposit()
    assert first.answer.status == 202
    assert world.sagas.started == []
    world.sagas.unavailable = set()
    world.clock.advance(seconds=119)
    assert world.service.recover() == {"started": [], "failed": []}
    world.clock.advance(seconds=2)
    assert world.service.recover() == {"started": [world.record().id], "failed": []}
    assert world.sagas.started == [(world.record().id, 1)]
    world.sagas.finish()
    assert world.record().status == "completed"
    assert world.deposit() == First(first.answer, replayed=True)


@pytest.mark.parametrize("seed", range(2))
def test_many_deposits_under_one_key_at_once_are_one(world: World, seed: int) -> None:
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    world.sleep = scheduler.sleep
    results = scheduler.run([world.deposit] * 20)
    assert {result.answer for result in results} == {results[0].answer}
    assert len(world.sagas.started) == 1


def test_completing_twice_is_completing_once(world: World) -> None:
    world.deposit()
    request = Complete(world.record().item(), "posted", at="2026-11-21")
    first = world.service.complete(request)
    world.clock.advance(seconds=9)
    changes = len(world.table.changes)
    assert world.service.complete(request) == first
    assert len(world.table.changes) == changes


def test_the_first_end_is_the_end(world: World) -> None:
    world.deposit()
    pending = world.record()
    failed = world.service.complete(Complete(pending.item(), "failed"))
    late = world.service.complete(Complete(pending.item(), "posted", at="2026-11-21"))
    assert late == failed
    assert failed.outcome == "failed"
    assert world.record().status == "failed"
    assert world.record().decline_code == ""
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.failed"]


def test_a_transfer_that_failed_is_told_as_such(world: World) -> None:
    world.sagas.faults = ["crash"]
    with pytest.raises(Crash):
        world.send()
    completed = world.service.complete(Complete(world.record().item(), "failed"))
    answer = world.send().answer
    assert (completed.outcome, completed.status, completed.body) == ("failed", 202, answer.body)
    assert body_of(answer)["status"] == "failed"


def test_a_record_that_is_gone_or_has_changed_is_a_fault(world: World) -> None:
    world.deposit()
    pending = world.record()
    stale = pending.item() | {"sequence": 7}
    with pytest.raises(ConditionFailed):
        world.service.complete(Complete(stale, "posted"))
    with pytest.raises(ConditionFailed):
        world.service.complete(Complete(pending.item() | {"id": "trf_other"}, "posted"))
    with pytest.raises(ConditionFailed):
        world.store.keep_answer("trf_other", pending.answer())
    assert world.record() == pending


def test_what_has_ended_is_not_due(world: World) -> None:
    world.send()
    world.clock.advance(days=30)
    assert world.service.recover() == {"started": [], "failed": []}


def test_recovery_comes_back_ever_more_slowly_and_never_gives_up(world: World) -> None:
    world.deposit()
    world.sagas.unavailable = {"*"}
    world.clock.advance(seconds=121)
    tries = []
    begun = world.clock()
    for _ in range(10 * 60):
        if world.service.recover()["failed"]:
            tries.append((world.clock() - begun) // timedelta(minutes=1))
        world.clock.advance(minutes=1)
    assert tries[:5] == [0, 2, 5, 10, 19]
    assert [later - earlier for earlier, later in zip(tries[-4:], tries[-3:], strict=False)] == [61, 61, 61]
    world.sagas.unavailable = set()
    world.clock.advance(hours=2)
    world.service.recover()
    world.sagas.finish()
    assert world.record().status == "completed"


def test_the_backoff_grows_to_an_hour(world: World) -> None:
    now = world.clock()
    minutes = [(clock.parse(due_next(attempts, now)) - now) // timedelta(minutes=1) for attempts in (0, 1, 2, 5, 6, 99)]
    assert minutes == [1, 2, 4, 32, 60, 60]


def test_one_that_can_not_be_started_does_not_hold_up_the_others(world: World) -> None:
    ids = [body_of(world.deposit(f"key-{number}").answer)["id"] for number in range(40)]
    world.sagas.unavailable = {ids[3]}
    world.sagas.started.clear()
    world.clock.advance(seconds=121)
    done = world.service.recover()
    assert done["failed"] == [ids[3]]
    assert sorted(done["started"]) == sorted(set(ids) - {ids[3]})


def test_a_run_is_bounded_and_the_next_goes_on(world: World) -> None:
    busy = due_shard("trf_" + "0" * 25 + "0")
    names = (f"trf_{number:026}" for number in range(10**6))
    crowd = [name for name, _ in zip((name for name in names if due_shard(name) == busy), range(20), strict=False)]
    left = iter(crowd)
    world.service._new_id = lambda prefix, at: next(left)
    for number in range(20):
        world.deposit(f"key-{number}")
    world.clock.advance(seconds=121)
    first = world.service.recover()["started"]
    second = world.service.recover()["started"]
    assert (len(first), len(second)) == (16, 4)
    assert sorted(first + second) == sorted(crowd)


@pytest.mark.parametrize("seed", range(6))
def test_two_recoveries_at_once_start_each_once(world: World, seed: int) -> None:
    for number in range(3):
        world.deposit(f"key-{number}")
    world.sagas.started.clear()
    world.clock.advance(seconds=121)
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    scheduler.run([world.service.recover, world.service.recover])
    assert len(world.sagas.started) == len(set(world.sagas.started)) == 3


@pytest.mark.parametrize("seed", range(6))
def test_a_transfer_that_ends_while_it_is_claimed_stays_ended(world: World, seed: int) -> None:
    world.deposit()
    pending = world.record()
    world.clock.advance(seconds=121)
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    scheduler.run(
        [world.service.recover, lambda: world.service.complete(Complete(pending.item(), "declined", "card_declined"))]
    )
    (record,) = world.records()
    assert record["status"] == "declined"
    assert "due_at" not in record
    world.sagas.finish()
    assert world.record().status == "declined"


def test_ids_spread_over_all_shards() -> None:
    assert {due_shard(f"trf_{number:026}") for number in range(2000)} == set(SHARDS)
