"""The deposit saga, every branch, with the real rail, its queue and its answers, and the real last step."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from common import clock, ids
from common.contracts.accounts import Party
from common.contracts.events import SYSTEM
from common.idempotency import IdempotencyKey

from functions.transfers.adapters.rail import answer_to
from functions.transfers.domain.recovery import first_due_at
from functions.transfers.domain.transfers import Transfer
from functions.transfers.models.resources import respond
from tests.sagas.world import World, deliver, world_of
from tests.support.tables import ROOT, template
from tests.unit.transfers.world import ANN, ANN_ACCOUNT, CARD

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.fixture
def world() -> Iterator[World]:
    with world_of("deposit") as made:
        yield made


def recorded(world: World, last4: str = "4242", kind: Any = "card") -> Transfer:
    """Record a deposit as POST /deposits does."""
    transfer = Transfer(
        id=ids.new_id("trf", NOW),
        kind="deposit",
        amount=5000,
        currency="USD",
        source=Party(kind, CARD, ANN, "VISA", addressed=True),
        destination=Party("account", ANN_ACCOUNT, ANN, "Ann A.", addressed=True),
        initiated_by=ANN,
        description="savings",
        created_at=clock.timestamp(NOW),
        trace_id="t",
        instance="/v1/deposits",
        last4=last4,
    )
    key = IdempotencyKey(transfer.id, "f")
    world.store.create(transfer, key, transfer.event(NOW, SYSTEM), first_due_at("deposit", NOW), respond(transfer))
    return transfer


def ended(world: World, transfer: Transfer) -> Transfer:
    stored = world.store.find(transfer.id)
    assert stored is not None
    # The client got a 202 before anything else, and that stays the answer.
    assert stored.answer == respond(transfer)
    return stored.transfer


@pytest.mark.parametrize("kind", ["card", "bank_account"])
def test_confirmed(world: World, kind: str) -> None:
    transfer = recorded(world, kind=kind)
    execution = world.execute(transfer)
    assert (execution.status, execution.states) == ("SUCCEEDED", ["Submit", "Answered", "Post", "Complete"])
    assert world.ledger.posted == [
        {
            "transfer_id": transfer.id,
            "source_account_id": "rail:sandbox:USD",
            "destination_account_id": ANN_ACCOUNT,
            "amount": 5000,
            "currency": "USD",
            "description": "savings",
        }
    ]
    assert ended(world, transfer).status == "completed"
    assert ended(world, transfer).posted_at == "2026-11-21T09:30:01.000Z"


@pytest.mark.parametrize(("kind", "code"), [("card", "card_declined"), ("bank_account", "bank_declined")])
def test_declined_by_the_rail(world: World, kind: str, code: str) -> None:
    transfer = recorded(world, "0002", kind)
    execution = world.execute(transfer)
    assert (execution.status, execution.states) == ("SUCCEEDED", ["Submit", "Answered", "Refuse", "Complete"])
    assert world.ledger.outcomes[transfer.id]["outcome"] == "declined"
    assert world.ledger.posted == []
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("declined", code)


def test_a_silent_rail_fails_the_deposit_after_a_minute(world: World) -> None:
    transfer = recorded(world, "0259", "bank_account")
    execution = world.execute(transfer)
    assert (execution.status, execution.states) == ("SUCCEEDED", ["Submit", "Refuse", "Complete"])
    assert world.machine.waits == [60]
    assert len(world.machine.calls("SubmitFunction")) == 1
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("failed", "")
    assert world.ledger.posted == []


def test_a_late_confirmation_posts_nothing(world: World) -> None:
    transfer = recorded(world, "0259", "bank_account")
    world.execute(transfer)
    late = {"transfer_id": transfer.id, "task_token": world.tokens[0], "outcome": "confirmed", "code": ""}
    assert deliver(late) == {"batchItemFailures": []}
    # A second execution, whose rail does confirm, as recovery might have started it.
    second = world.execute(replace(transfer, last4="4242"))
    assert second.states == ["Submit", "Answered", "Post", "Complete"]
    assert second.output["outcome"] == "failed"
    assert world.ledger.posted == []
    assert ended(world, transfer).status == "failed"


def test_an_unreachable_rail_is_tried_four_times_and_fails_the_deposit(world: World) -> None:
    world.before["submit"] = 4
    transfer = recorded(world)
    execution = world.execute(transfer)
    assert execution.states == ["Submit", "Refuse", "Complete"]
    assert len(world.machine.calls("SubmitFunction")) == 4
    assert ended(world, transfer).status == "failed"
    assert world.ledger.posted == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rail_that_is_reached_at_last_confirms(world: World, moment: str) -> None:
    getattr(world, moment)["submit"] = 3
    transfer = recorded(world)
    assert world.execute(transfer).states == ["Submit", "Answered", "Post", "Complete"]
    assert len(world.machine.calls("SubmitFunction")) == 4
    assert len(world.ledger.posted) == 1
    assert ended(world, transfer).status == "completed"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("step", "last4"), [("post", "4242"), ("refuse", "0002"), ("complete", "4242")])
def test_eight_faults_are_retried(world: World, step: str, last4: str, moment: str) -> None:
    getattr(world, moment)[step] = 8
    transfer = recorded(world, last4)
    assert world.execute(transfer).status == "SUCCEEDED"
    assert len(world.machine.waits) == 8
    assert max(world.machine.waits) <= 30
    assert ended(world, transfer).status == ("declined" if last4 == "0002" else "completed")
    assert len(world.ledger.posted) == (last4 == "4242")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("step", "last4"), [("post", "4242"), ("refuse", "0002"), ("complete", "4242")])
def test_when_retries_are_spent_another_execution_finishes_it(world: World, step: str, last4: str, moment: str) -> None:
    getattr(world, moment)[step] = 9
    transfer = recorded(world, last4)
    assert world.execute(transfer).status == "FAILED"
    assert world.execute(transfer).status == "SUCCEEDED"
    assert ended(world, transfer).status == ("declined" if last4 == "0002" else "completed")
    assert len(world.ledger.posted) == (last4 == "4242")


def test_declined_by_the_ledger(world: World) -> None:
    world.ledger.decline = "payee_not_found"
    transfer = recorded(world)
    assert world.execute(transfer).states == ["Submit", "Answered", "Post", "Complete"]
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("declined", "payee_not_found")


def test_a_refusal_after_the_posting_completes_the_deposit(world: World) -> None:
    transfer = recorded(world, "0259", "bank_account")
    world.ledger.post({"transfer_id": transfer.id})
    execution = world.execute(transfer)
    assert execution.states == ["Submit", "Refuse", "Complete"]
    assert ended(world, transfer).status == "completed"


def test_two_executions_end_alike(world: World) -> None:
    transfer = recorded(world)
    first, second = world.execute(transfer), world.execute(transfer)
    assert first.output == second.output
    assert len(world.ledger.posted) == 1


def test_a_lost_rail_answer_is_delivered_again_in_time() -> None:
    resources = template()["Resources"]
    saga = yaml.safe_load((ROOT / "statemachines" / "deposit.asl.yaml").read_text())
    again = resources["RailQueue"]["Properties"]["VisibilityTimeout"]
    slowest = answer_to("card", "0259")
    assert slowest is not None
    assert resources["TransfersRailAnswer"]["Properties"]["Timeout"] < again
    assert slowest.delay_seconds + 2 * again < saga["States"]["Submit"]["TimeoutSeconds"]
