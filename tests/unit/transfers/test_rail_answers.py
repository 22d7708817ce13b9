"""What rails answer: recorded before the saga goes on, so that no money stays in between."""

import json
from typing import Any

import pytest
from common.errors import Contended

from functions.transfers.domain.transfers import Transfer
from functions.transfers.events import rail_answer
from functions.transfers.service.rail import UnknownTransfer
from tests.support.memory_table import Call
from tests.support.rest import CONTEXT
from tests.unit.transfers.scheduler import Scheduler
from tests.unit.transfers.world import Crash, World


@pytest.fixture
def pending(world: World) -> Transfer:
    """A deposit whose saga waits for the rail."""
    world.deposit()
    return world.record()


def is_due(world: World) -> bool:
    (record,) = world.records()
    assert ("due_at" in record) == ("due_shard" in record)
    return "due_at" in record


@pytest.mark.parametrize(("outcome", "code"), [("confirmed", ""), ("declined", "card_declined")])
def test_an_answer_is_recorded_before_the_saga_is_resumed(
    world: World, pending: Transfer, outcome: str, code: str
) -> None:
    (before,) = world.records()
    seen: list[tuple[str, str]] = []
    resume = world._resume

    def look_and_resume(task_token: str, found: dict[str, str]) -> bool:
        seen.append((world.record().rail_outcome, world.record().rail_code))
        return resume(task_token, found)

    world.rail_answers._resume = look_and_resume
    assert world.answer(outcome, code)
    assert seen == [(outcome, code)]
    assert world.resumed == [("token", {"outcome": outcome, "code": code})]
    (after,) = world.records()
    assert {name for name in after if after[name] != before.get(name)} == {"rail_outcome"} | (
        {"rail_code"} if code else set()
    )
    assert before.items() <= after.items()


def test_an_answer_that_comes_twice_is_recorded_once(world: World, pending: Transfer) -> None:
    world.answer("confirmed")
    changes = len(world.table.changes)
    world.answer("confirmed")
    world.answer("declined", "card_declined")
    assert len(world.table.changes) == changes
    assert (world.record().rail_outcome, world.record().rail_code) == ("confirmed", "")
    assert [outcome["outcome"] for _, outcome in world.resumed] == ["confirmed", "confirmed", "declined"]


def test_a_confirmation_replaces_a_decline(world: World, pending: Transfer) -> None:
    world.answer("declined", "card_declined")
    world.answer("confirmed")
    assert (world.record().rail_outcome, world.record().rail_code) == ("confirmed", "")


@pytest.mark.parametrize(("moment", "operation"), [("before", "get"), ("before", "update"), ("after", "update")])
def test_an_answer_that_dies_before_its_write_is_delivered_again(
    world: World, pending: Transfer, monkeypatch: pytest.MonkeyPatch, moment: str, operation: str
) -> None:
    monkeypatch.setattr(rail_answer, "rail_answers", lambda: world.rail_answers)

    def die(call: Call) -> None:
        if (call.moment, call.operation) == (moment, operation):
            raise Crash

    message = {"transfer_id": pending.id, "task_token": "token", "operation": "collect", "outcome": "confirmed"}
    record = {"messageId": "1", "body": json.dumps(message | {"code": ""}), "eventSource": "aws:sqs", "attributes": {}}
    world.table.hook = die
    assert rail_answer.handler({"Records": [record]}, CONTEXT) == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert world.resumed == []
    world.table.hook = None
    assert rail_answer.handler({"Records": [record]}, CONTEXT) == {"batchItemFailures": []}
    assert world.record().rail_outcome == "confirmed"
    assert len(world.resumed) == 1


def test_an_answer_about_an_unknown_transfer_is_a_fault(world: World) -> None:
    world.deposit()
    pending = world.record()
    world.table.delete((f"T#{pending.id}", "R"))
    world.record = lambda: pending  # type: ignore[method-assign]
    with pytest.raises(UnknownTransfer):
        world.answer("confirmed")
    assert world.resumed == []


def test_an_answer_that_others_keep_outrunning_is_a_fault_and_resumes_nothing(world: World, pending: Transfer) -> None:
    key = (f"T#{pending.id}", "R")
    outcomes = ["declined", ""] * 9

    def interfere(call: Call) -> None:
        if (call.moment, call.operation) == ("before", "update") and outcomes:
            hook, world.table.hook = world.table.hook, None
            item = world.table.get(key)
            assert item is not None
            item.pop("rail_outcome", None)
            outcome = outcomes.pop(0)
            world.table.put(item | ({"rail_outcome": outcome} if outcome else {}))
            world.table.hook = hook

    world.table.hook = interfere
    with pytest.raises(Contended):
        world.answer("confirmed")
    assert world.resumed == []


@pytest.mark.parametrize("outcome", ["declined", "failed"])
@pytest.mark.parametrize("seed", range(12))
def test_an_end_and_a_confirmation_at_once_leave_nothing_in_between(
    world: World, pending: Transfer, seed: int, outcome: str
) -> None:
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    scheduler.run([lambda: world.complete(pending, outcome), lambda: world.answer("confirmed")])
    world.table.hook = None
    record = world.record()
    assert record.rail_outcome == "confirmed"
    # Either the end has failed, or it is undone: in both cases recovery has the money returned.
    assert is_due(world)
    assert record.status == "pending" or record.is_to_be_returned


@pytest.mark.parametrize("seed", range(4))
def test_a_posting_and_a_repeated_confirmation_at_once_complete(world: World, pending: Transfer, seed: int) -> None:
    scheduler = Scheduler(world.clock, seed)
    world.table.hook = scheduler.step
    scheduler.run([lambda: world.complete(pending), lambda: world.answer("confirmed")])
    assert (world.record().status, world.record().rail_outcome) == ("completed", "confirmed")
    assert not is_due(world)


@pytest.mark.parametrize(
    ("outcome", "code", "shown"), [("failed", "", "returned"), ("declined", "card_declined", "card_declined")]
)
def test_an_answer_after_the_end_is_due_until_the_money_is_back(
    world: World, pending: Transfer, outcome: str, code: str, shown: str
) -> None:
    world.sagas.started.clear()
    world.complete(pending, outcome, code)
    assert not is_due(world)
    world.answer("confirmed")
    assert is_due(world)
    world.answer("declined", "lost", "refund")
    assert world.record().is_to_be_returned, "a rail that does not take it back is asked again"
    world.clock.advance(seconds=1)
    assert world.recovery.run() == {"started": [pending.id], "failed": []}
    assert is_due(world)
    world.answer("confirmed", operation="refund")
    assert not is_due(world)
    record = world.record()
    assert (record.status, record.rail_outcome, record.decline_code) == (outcome, "refunded", shown)
    changes = len(world.table.changes)
    for operation in ("collect", "refund"):
        world.answer("confirmed", operation=operation)
    assert len(world.table.changes) == changes
    world.clock.advance(days=1)
    assert world.recovery.run() == {"started": [], "failed": []}


def test_a_refunded_deposit_ends_failed_and_says_so(world: World, pending: Transfer) -> None:
    world.answer("confirmed")
    world.answer("confirmed", operation="refund")
    assert world.record().decline_code == ""
    completed = world.complete(pending, "returned", "payee_not_found")
    assert completed.outcome == "failed"
    record = world.record()
    assert (record.status, record.decline_code, record.completed_at) == ("failed", "returned", "")
    assert not is_due(world)
    failed = world.events()[-1]
    assert (failed["type"], failed["data"]["code"]) == ("transfer.failed", "returned")


def test_a_refund_without_a_confirmation_changes_nothing(world: World, pending: Transfer) -> None:
    world.answer("confirmed", operation="refund")
    assert world.record().rail_outcome == ""


def test_the_saga_gets_what_the_rail_has_answered(world: World, pending: Transfer) -> None:
    world.answer("declined", "card_declined")
    state: Any = world.record().saga_input()["transfer"]
    assert (state["rail_outcome"], state["rail_code"]) == ("declined", "card_declined")
    assert Transfer.from_record(state) == world.record()
