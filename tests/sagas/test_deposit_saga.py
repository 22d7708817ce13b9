"""The deposit saga, every branch, with the real rail, its queue and its answers, and the real last step."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from common import clock, ids
from common.contracts.accounts import Party
from common.contracts.events import SYSTEM
from common.events import OUTBOX
from common.idempotency import IdempotencyKey

from functions.transfers.domain.recovery import first_due_at
from functions.transfers.domain.transfers import Transfer
from functions.transfers.models.resources import respond
from tests.sagas.state_machine import Execution
from tests.sagas.world import World, deliver, world_of
from tests.unit.transfers.world import ANN, ANN_ACCOUNT, CARD

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.fixture
def world() -> Iterator[World]:
    with world_of("deposit") as made:
        yield made


ASKED = ["Expect", "Answered", "Submit", "Answered"]
"""The states of an execution up to the rail's answer."""


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
    key = IdempotencyKey(transfer.id, ("f",))
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
    assert (execution.status, execution.states) == ("SUCCEEDED", [*ASKED, "Post", "Decided", "Complete"])
    assert world.machine.calls("ExpectFunction") == [
        {"transfer_id": transfer.id, "account_id": ANN_ACCOUNT, "amount": 5000, "currency": "USD"}
    ]
    assert world.ledger.posted == [
        {
            "transfer_id": transfer.id,
            "source_account_id": "rail:sandbox:USD",
            "destination_account_id": ANN_ACCOUNT,
            "amount": 5000,
            "currency": "USD",
            "description": "savings",
            "is_expected": True,
        }
    ]
    assert world.ledger.expecting == {}
    assert ended(world, transfer).status == "completed"
    assert ended(world, transfer).posted_at == "2026-11-21T09:30:01.000Z"


@pytest.mark.parametrize(("kind", "code"), [("card", "card_declined"), ("bank_account", "bank_declined")])
def test_declined_by_the_rail(world: World, kind: str, code: str) -> None:
    transfer = recorded(world, "0002", kind)
    execution = world.execute(transfer)
    assert (execution.status, execution.states) == ("SUCCEEDED", [*ASKED, "Refuse", "Decided", "Complete"])
    assert world.ledger.expecting == {}
    assert world.ledger.outcomes[transfer.id]["outcome"] == "declined"
    assert world.ledger.posted == []
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("declined", code)


def test_a_silent_rail_fails_the_deposit_after_a_minute(world: World) -> None:
    transfer = recorded(world, "0259", "bank_account")
    execution = world.execute(transfer)
    assert execution.status == "SUCCEEDED"
    assert execution.states == ["Expect", "Answered", "Submit", "Refuse", "Decided", "Complete"]
    assert world.machine.waits == [60]
    assert len(world.machine.calls("SubmitFunction")) == 1
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("failed", "")
    assert world.ledger.posted == []
    assert world.ledger.expecting == {}


def confirm_late(world: World, transfer: Transfer) -> None:
    """Let the rail confirm after the saga has given up."""
    late = {"transfer_id": transfer.id, "task_token": world.tokens[-1], "outcome": "confirmed", "code": ""}
    assert deliver(late | {"operation": "collect"}) == {"batchItemFailures": []}


def recover(world: World, **delay: float) -> Execution:
    """Run recovery after a delay, and the only saga that it starts."""
    world.clock.advance(**delay)
    world.recovery.run()
    (started,) = world.sagas.started
    world.sagas.started.clear()
    # The rail of this bank account never answers; of another one it does.
    return world.execute(replace(started, last4="4242"))


def test_a_late_confirmation_posts_nothing(world: World) -> None:
    transfer = recorded(world, "0259", "bank_account")
    world.execute(transfer)
    confirm_late(world, transfer)
    assert ended(world, transfer).is_to_be_returned
    second = recover(world, seconds=1)
    assert second.states == ["Expect", "Answered", "Post", "Decided", "Refund", "Refunded", "Complete"]
    assert second.output["outcome"] == "failed"
    assert world.ledger.posted == []
    end = ended(world, transfer)
    assert (end.status, end.decline_code, end.rail_outcome) == ("failed", "returned", "refunded")
    world.clock.advance(days=1)
    assert world.recovery.run() == {"started": [], "failed": []}


def test_a_late_confirmation_after_a_decline_is_returned_too(world: World) -> None:
    transfer = recorded(world, "0002")
    world.execute(transfer)
    confirm_late(world, transfer)
    assert recover(world, seconds=1).status == "SUCCEEDED"
    end = ended(world, transfer)
    assert (end.status, end.decline_code, end.rail_outcome) == ("declined", "card_declined", "refunded")
    assert world.ledger.posted == []


def test_a_confirmation_that_met_no_saga_ends_the_deposit_with_the_next(world: World) -> None:
    transfer = recorded(world, "0259", "bank_account")
    world.before["refuse"] = 9
    assert world.execute(transfer).status == "FAILED"
    confirm_late(world, transfer)
    second = recover(world, seconds=121)
    assert second.states == ["Expect", "Answered", "Post", "Decided", "Complete"]
    assert len(world.machine.calls("SubmitFunction")) == 1, "the rail is not asked again"
    assert len(world.ledger.posted) == 1
    assert ended(world, transfer).status == "completed"


def test_a_confirmation_before_the_end_of_a_saga_that_gave_up_is_returned(world: World) -> None:
    """The rail confirms after the saga has refused the posting and before it ends the transfer."""
    transfer = recorded(world, "0259", "bank_account")
    refuse = world.machine.functions["RefuseFunction"]

    def refuse_and_confirm(request: dict[str, Any]) -> Any:
        outcome = refuse(request)
        confirm_late(world, transfer)
        return outcome

    world.machine.functions["RefuseFunction"] = refuse_and_confirm
    assert world.execute(transfer).status == "FAILED"
    assert ended(world, transfer).status == "pending", "it does not end with money in between"
    second = recover(world, seconds=121)
    assert (second.status, second.output["outcome"]) == ("SUCCEEDED", "failed")
    assert [each["operation"] for each in world.machine.calls("SubmitFunction")] == ["collect", "refund"]
    end = ended(world, transfer)
    assert (end.status, end.decline_code, end.rail_outcome) == ("failed", "returned", "refunded")
    assert world.ledger.posted == []


def test_a_decline_that_met_no_saga_is_not_asked_for_again(world: World) -> None:
    transfer = recorded(world, "0002")
    world.before["refuse"] = 9
    assert world.execute(transfer).status == "FAILED"
    second = recover(world, seconds=121)
    assert second.states == ["Expect", "Answered", "Refuse", "Decided", "Complete"]
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("declined", "card_declined")


def test_an_unreachable_rail_is_tried_four_times_and_fails_the_deposit(world: World) -> None:
    world.before["submit"] = 4
    transfer = recorded(world)
    execution = world.execute(transfer)
    assert execution.states == ["Expect", "Answered", "Submit", "Refuse", "Decided", "Complete"]
    assert len(world.machine.calls("SubmitFunction")) == 4
    assert ended(world, transfer).status == "failed"
    assert world.ledger.posted == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rail_that_is_reached_at_last_confirms(world: World, moment: str) -> None:
    getattr(world, moment)["submit"] = 3
    transfer = recorded(world)
    assert world.execute(transfer).states == [*ASKED, "Post", "Decided", "Complete"]
    assert len(world.machine.calls("SubmitFunction")) == 4
    assert len(world.ledger.posted) == 1
    assert ended(world, transfer).status == "completed"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("step", "last4"), [("expect", "4242"), ("post", "4242"), ("refuse", "0002"), ("complete", "4242")]
)
def test_eight_faults_are_retried(world: World, step: str, last4: str, moment: str) -> None:
    getattr(world, moment)[step] = 8
    transfer = recorded(world, last4)
    assert world.execute(transfer).status == "SUCCEEDED"
    assert len(world.machine.waits) == 8
    assert max(world.machine.waits) <= 30
    assert ended(world, transfer).status == ("declined" if last4 == "0002" else "completed")
    assert len(world.ledger.posted) == (last4 == "4242")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("step", "last4"), [("expect", "4242"), ("post", "4242"), ("refuse", "0002"), ("complete", "4242")]
)
def test_when_retries_are_spent_another_execution_finishes_it(world: World, step: str, last4: str, moment: str) -> None:
    getattr(world, moment)[step] = 9
    transfer = recorded(world, last4)
    assert world.execute(transfer).status == "FAILED"
    assert world.execute(transfer).status == "SUCCEEDED"
    assert ended(world, transfer).status == ("declined" if last4 == "0002" else "completed")
    assert len(world.ledger.posted) == (last4 == "4242")


def test_what_the_ledger_can_not_take_is_refunded(world: World) -> None:
    world.ledger.decline = "payee_not_found"
    transfer = recorded(world)
    execution = world.execute(transfer)
    assert execution.states == [*ASKED, "Post", "Decided", "Refund", "Refunded", "Complete"]
    collect, refund = world.machine.calls("SubmitFunction")
    assert (collect.pop("operation"), refund.pop("operation")) == ("collect", "refund")
    assert collect.pop("task_token") != refund.pop("task_token")
    assert collect == refund
    assert world.ledger.posted == []
    assert world.ledger.expecting == {}
    end = ended(world, transfer)
    assert (end.status, end.decline_code, end.rail_outcome) == ("failed", "returned", "refunded")
    (record,) = world.records()
    (event,) = json.loads(record[OUTBOX])
    assert (event["type"], event["data"]["code"]) == ("transfer.failed", "returned")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_refund_is_tried_four_times_and_again_by_recovery(world: World, moment: str) -> None:
    world.ledger.decline = "payee_not_found"
    getattr(world, moment)["refund"] = 3
    first = recorded(world)
    assert world.execute(first).status == "SUCCEEDED"
    assert ended(world, first).decline_code == "returned"
    getattr(world, moment)["refund"] = 4
    second = recorded(world)
    assert world.execute(second).status == "FAILED"
    assert ended(world, second).status == "pending"
    assert recover(world, seconds=121).status == "SUCCEEDED"
    assert (ended(world, second).status, ended(world, second).decline_code) == ("failed", "returned")
    assert world.ledger.posted == []


def test_a_rail_that_does_not_take_the_money_back_is_asked_until_it_does(world: World) -> None:
    world.ledger.decline = "payee_not_found"
    world.refused_refunds = 2
    transfer = recorded(world)
    first = world.execute(transfer)
    assert (first.status, first.error) == ("FAILED", "NotRefunded")
    assert ended(world, transfer).status == "pending", "it does not end with money in between"
    assert recover(world, seconds=121).status == "FAILED"
    third = recover(world, minutes=2)
    assert third.states == ["Expect", "Answered", "Post", "Decided", "Refund", "Refunded", "Complete"]
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("failed", "returned")
    operations = [each["operation"] for each in world.machine.calls("SubmitFunction")]
    assert operations == ["collect", "refund", "refund", "refund"]


def test_a_refund_that_was_recorded_is_not_asked_for_again(world: World) -> None:
    world.ledger.decline = "payee_not_found"
    world.before["complete"] = 9
    transfer = recorded(world)
    assert world.execute(transfer).status == "FAILED"
    assert ended(world, transfer).rail_outcome == "refunded"
    world.ledger.decline = ""
    second = recover(world, seconds=121)
    assert second.states == ["Expect", "Answered", "Refuse", "Decided", "Complete"]
    assert len(world.machine.calls("SubmitFunction")) == 2
    assert world.ledger.posted == []
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("failed", "returned")


def test_a_closed_account_fails_the_deposit_and_the_rail_is_not_asked(world: World) -> None:
    assert world.ledger.close(ANN_ACCOUNT)
    transfer = recorded(world)
    execution = world.execute(transfer)
    assert execution.states == ["Expect", "Answered", "Refuse", "Decided", "Complete"]
    assert world.machine.calls("SubmitFunction") == []
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("failed", "")
    assert world.ledger.posted == []


def test_a_confirmation_whose_account_was_never_expected_to_take_it_is_returned(world: World) -> None:
    """The rail was asked by an execution of an earlier version of the saga, and the account was closed meanwhile."""
    transfer = recorded(world)
    world.tokens.append("token of an execution that has ended")
    confirm_late(world, transfer)
    assert world.ledger.close(ANN_ACCOUNT)
    world.ledger.decline = "payee_not_found"
    execution = recover(world, seconds=121)
    assert execution.states == ["Expect", "Answered", "Post", "Decided", "Refund", "Refunded", "Complete"]
    assert (ended(world, transfer).status, ended(world, transfer).decline_code) == ("failed", "returned")


@pytest.mark.parametrize("last4", ["4242", "0002"])
def test_the_account_is_kept_open_until_the_step_is_recorded(world: World, last4: str) -> None:
    closings = []

    def closing(name: str) -> None:
        function = world.machine.functions[name]

        def run(request: dict[str, Any]) -> Any:
            closings.append((name, world.ledger.close(ANN_ACCOUNT)))
            return function(request)

        world.machine.functions[name] = run

    for name in ("SubmitFunction", "PostFunction", "RefuseFunction", "CompleteFunction"):
        closing(name)
    world.after["expect"] = 1
    transfer = recorded(world, last4)
    assert world.execute(transfer).status == "SUCCEEDED"
    decision = "PostFunction" if last4 == "4242" else "RefuseFunction"
    assert closings == [("SubmitFunction", False), (decision, False), ("CompleteFunction", True)]


def test_an_account_whose_expectation_is_not_recorded_is_asked_for_again(world: World) -> None:
    world.before["expect"] = 9
    transfer = recorded(world)
    first = world.execute(transfer)
    assert (first.status, first.states) == ("FAILED", ["Expect"])
    assert world.machine.calls("SubmitFunction") == []
    assert ended(world, transfer).status == "pending"
    assert recover(world, seconds=121).status == "SUCCEEDED"
    assert ended(world, transfer).status == "completed"


def test_a_refusal_after_the_posting_completes_the_deposit(world: World) -> None:
    transfer = recorded(world, "0259", "bank_account")
    submit = world.machine.functions["SubmitFunction"]

    def post_and_submit(request: dict[str, Any]) -> Any:
        """Post in another execution, while this one waits for the rail."""
        world.ledger.post(
            {"transfer_id": transfer.id, "destination_account_id": ANN_ACCOUNT, "is_expected": True},
        )
        return submit(request)

    world.machine.functions["SubmitFunction"] = post_and_submit
    execution = world.execute(transfer)
    assert execution.states == ["Expect", "Answered", "Submit", "Refuse", "Decided", "Complete"]
    assert ended(world, transfer).status == "completed"


def test_two_executions_end_alike(world: World) -> None:
    transfer = recorded(world)
    first, second = world.execute(transfer), world.execute(transfer)
    assert first.output == second.output
    assert len(world.ledger.posted) == 1
