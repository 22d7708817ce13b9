"""Deposits: the first answer, replays, and a saga that does not start."""

import pytest
from common.errors import Refusal
from common.idempotency import KeyedAnswer

from tests.unit.transfers.scheduler import Scheduler
from tests.unit.transfers.world import ANN, ANN_ACCOUNT, ANN_SAVINGS, CARD, World, body_of


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
        "transfer": transfer.record(),
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
    assert world.deposit() == KeyedAnswer(first.answer, replayed=True)
    world.accounts.refusal = "not_found"
    assert world.deposit() == KeyedAnswer(first.answer, replayed=True)
    with pytest.raises(Refusal) as reused:
        world.deposit(account=ANN_SAVINGS)
    assert reused.value.code == "idempotency_key_reused"


def test_a_refused_deposit_records_nothing(world: World) -> None:
    world.accounts.refusal = "currency_mismatch"
    with pytest.raises(Refusal) as refused:
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
    assert world.recovery.run() == {"started": [], "failed": []}
    world.clock.advance(seconds=2)
    assert world.recovery.run() == {"started": [world.record().id], "failed": []}
    assert world.sagas.started == [(world.record().id, 1)]
    world.sagas.finish()
    assert world.record().status == "completed"
    assert world.deposit() == KeyedAnswer(first.answer, replayed=True)


@pytest.mark.parametrize("seed", range(2))
def test_many_deposits_under_one_key_at_once_are_one(world: World, seed: int) -> None:
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    world.sleep = scheduler.sleep
    results = scheduler.run([world.deposit] * 20)
    assert {result.answer for result in results} == {results[0].answer}
    assert len(world.sagas.started) == 1
