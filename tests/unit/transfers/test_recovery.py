"""Recovery of transfers that have not ended in time."""

from datetime import timedelta

import pytest
from common import clock

from functions.transfers.domain.recovery import SHARDS, due_shard, next_due_at
from tests.unit.transfers.scheduler import Scheduler
from tests.unit.transfers.world import World, body_of


def test_a_transfer_that_has_ended_is_not_due(world: World) -> None:
    world.send()
    world.clock.advance(days=30)
    assert world.recovery.run() == {"started": [], "failed": []}


def test_recovery_backs_off_and_never_gives_up(world: World) -> None:
    world.deposit()
    world.sagas.unavailable = {"*"}
    world.clock.advance(seconds=121)
    tries = []
    begun = world.clock()
    for _ in range(10 * 60):
        if world.recovery.run()["failed"]:
            tries.append((world.clock() - begun) // timedelta(minutes=1))
        world.clock.advance(minutes=1)
    assert tries[:5] == [0, 2, 5, 10, 19]
    assert [later - earlier for earlier, later in zip(tries[-4:], tries[-3:], strict=False)] == [61, 61, 61]
    world.sagas.unavailable = set()
    world.clock.advance(hours=2)
    world.recovery.run()
    world.sagas.finish()
    assert world.record().status == "completed"


def test_the_backoff_grows_to_an_hour(world: World) -> None:
    now = world.clock()
    waits = [clock.parse(next_due_at(attempts, now)) - now for attempts in (0, 1, 2, 5, 6, 99)]
    assert [wait // timedelta(minutes=1) for wait in waits] == [1, 2, 4, 32, 60, 60]


def test_a_transfer_that_can_not_be_started_does_not_delay_the_others(world: World) -> None:
    ids = [body_of(world.deposit(f"key-{number}").answer)["id"] for number in range(40)]
    world.sagas.unavailable = {ids[3]}
    world.sagas.started.clear()
    world.clock.advance(seconds=121)
    done = world.recovery.run()
    assert done["failed"] == [ids[3]]
    assert sorted(done["started"]) == sorted(set(ids) - {ids[3]})


def test_a_run_is_bounded_and_the_next_continues(world: World) -> None:
    busy = due_shard("trf_" + "0" * 25 + "0")
    names = (f"trf_{number:026}" for number in range(10**6))
    crowd = [name for name, _ in zip((name for name in names if due_shard(name) == busy), range(20), strict=False)]
    left = iter(crowd)
    world.intents._new_id = lambda prefix, at: next(left)
    for number in range(20):
        world.deposit(f"key-{number}")
    world.clock.advance(seconds=121)
    first = world.recovery.run()["started"]
    second = world.recovery.run()["started"]
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
    scheduler.run([world.recovery.run, world.recovery.run])
    assert len(world.sagas.started) == len(set(world.sagas.started)) == 3


@pytest.mark.parametrize("seed", range(6))
def test_a_transfer_that_ends_while_it_is_claimed_stays_ended(world: World, seed: int) -> None:
    world.deposit()
    pending = world.record()
    world.clock.advance(seconds=121)
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    scheduler.run([world.recovery.run, lambda: world.complete(pending, "declined", "card_declined")])
    (record,) = world.records()
    assert record["status"] == "declined"
    assert "due_at" not in record
    world.sagas.finish()
    assert world.record().status == "declined"


def test_ids_spread_over_all_shards() -> None:
    assert {due_shard(f"trf_{number:026}") for number in range(2000)} == set(SHARDS)
