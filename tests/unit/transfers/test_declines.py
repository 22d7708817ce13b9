"""The limit on declines: thirty an hour of one user, however they come about."""

from datetime import UTC, datetime
from typing import Any

import pytest
from common.errors import Refusal
from common.idempotency import KeyedAnswer

from functions.transfers.domain.declines import MAX_DECLINES_PER_HOUR
from tests.support.memory_table import Call
from tests.unit.transfers.scheduler import Scheduler
from tests.unit.transfers.world import ANN, EVE, EVE_ACCOUNT, Crash, World, body_of


def counted(world: World, user: str = ANN) -> int:
    return sum(item["declines"] for item in world.table.items() if item["pk"].startswith(f"D#{user}#"))


def refusal_of(world: World, key: str, **options: Any) -> Refusal:
    with pytest.raises(Refusal) as refused:
        world.send(key, trace_id=key, **options)
    return refused.value


def decline(world: World, times: int) -> list[KeyedAnswer]:
    world.ledger.decline = "insufficient_funds"
    answers = [world.send(f"key-{number}") for number in range(times)]
    world.ledger.decline = ""
    return answers


def test_the_thirty_first_decline_of_an_hour_is_refused(world: World) -> None:
    assert MAX_DECLINES_PER_HOUR == 30
    firsts = decline(world, 30)
    assert {body_of(first.answer)["code"] for first in firsts} == {"insufficient_funds"}
    approvals, records = len(world.accounts.requests), len(world.records())
    world.clock.advance(minutes=14, milliseconds=1)
    refused = refusal_of(world, "next")
    assert (refused.code, refused.retry_after) == ("rate_limited", 16 * 60)
    assert len(world.accounts.requests) == approvals, "no payee is looked up"
    assert len(world.records()) == records
    assert world.send("key-0") == KeyedAnswer(firsts[0].answer, replayed=True)
    assert world.send("hers", caller=EVE, source=EVE_ACCOUNT).answer.status == 201
    world.clock.advance(minutes=16)
    assert world.send("next").answer.status == 201


def test_the_thirty_first_unknown_payee_is_refused(world: World) -> None:
    world.accounts.refusal = "payee_not_found"
    codes = [refusal_of(world, f"key-{number}").code for number in range(32)]
    assert codes == ["payee_not_found"] * 30 + ["rate_limited"] * 2
    assert len(world.accounts.requests) == 30
    assert world.records() == []


def test_declines_and_unknown_payees_count_together(world: World) -> None:
    decline(world, 29)
    world.accounts.refusal = "payee_not_found"
    assert [refusal_of(world, f"new-{number}").code for number in range(2)] == ["payee_not_found", "rate_limited"]


@pytest.mark.parametrize("code", ["not_found", "invalid_pin", "pin_required", "same_account", "currency_mismatch"])
def test_a_refusal_that_says_nothing_about_a_payee_is_not_counted(world: World, code: str) -> None:
    world.accounts.refusal = code
    assert refusal_of(world, "key").code == code
    assert counted(world) == 0


def test_a_completed_and_a_failed_transfer_are_not_counted(world: World) -> None:
    world.send("1")
    world.sagas.faults = ["crash"]
    with pytest.raises(Crash):
        world.send("2")
    (pending,) = (record for record in world.records() if record["status"] == "pending")
    world.complete(world.store.find(pending["id"]).transfer, "failed")  # type: ignore[union-attr]
    assert counted(world) == 0


def test_a_decline_by_a_rail_counts(world: World) -> None:
    world.deposit()
    world.complete(world.record(), "declined", "card_declined")
    assert counted(world) == 1


def test_deposits_are_refused_at_the_limit_too(world: World) -> None:
    decline(world, 30)
    with pytest.raises(Refusal) as refused:
        world.deposit()
    assert refused.value.code == "rate_limited"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_decline_that_is_counted_and_then_lost_is_counted_once(world: World, moment: str) -> None:
    """The function dies at the count, and the saga calls it again."""
    pending = world.interrupted()

    def die(call: Call) -> None:
        if (call.moment, call.operation) == (moment, "update") and call.keys[0][0].startswith("D#"):
            world.table.hook = None
            raise Crash

    world.table.hook = die
    with pytest.raises(Crash):
        world.complete(pending, "declined", "insufficient_funds")
    for _ in range(2):
        assert world.complete(pending, "declined", "insufficient_funds").outcome == "declined"
    assert counted(world) == 1


def test_a_count_that_the_sdk_repeats_is_not_the_limit(world: World) -> None:
    update = world.table.update

    def twice(write: Any) -> Any:
        update(write)
        return update(write)

    world.table.update = twice  # type: ignore[method-assign]
    world.accounts.refusal = "payee_not_found"
    assert refusal_of(world, "key").code == "payee_not_found"
    assert counted(world) == 1


def test_a_replay_that_lost_a_race_is_not_counted(world: World) -> None:
    """Another request with the key is recorded while this one is refused."""
    approve = world.transfers._approve

    def approved_elsewhere(request: Any) -> Any:
        world.transfers._approve = approve
        world.send("same")
        raise Refusal("payee_not_found")

    world.transfers._approve = approved_elsewhere
    assert world.send("same").replayed
    assert counted(world) == 0


@pytest.mark.parametrize("seed", range(3))
def test_of_sixty_unknown_payees_at_once_thirty_are_answered(world: World, seed: int) -> None:
    world.accounts.refusal = "payee_not_found"
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    codes = scheduler.run([lambda number=number: refusal_of(world, f"key-{number}").code for number in range(60)])
    assert sorted(codes) == ["payee_not_found"] * 30 + ["rate_limited"] * 30
    assert counted(world) == 30


def test_a_usual_transfer_reads_the_key_and_the_declines_in_one_call(world: World) -> None:
    world.send()
    calls = [(call.operation, len(call.keys)) for call in world.table.calls]
    assert calls == [("batch_get", 2), ("transact", 2), ("update", 1)]


def test_the_count_of_an_hour_is_deleted_after_it(world: World) -> None:
    decline(world, 1)
    (item,) = (item for item in world.table.items() if item["sk"] == "D")
    # DynamoDB's time to live is in seconds since 1970. A number in milliseconds would never be reached.
    assert datetime.fromtimestamp(item["expires_at"], UTC) == datetime(2026, 11, 21, 10, tzinfo=UTC)
