"""The end of a transfer, which comes once."""

import pytest
from common.contracts.transfers import Complete
from common.dynamo import ConditionFailed

from functions.transfers.models.resources import respond
from tests.unit.transfers.world import World, body_of


def test_completing_twice_is_completing_once(world: World) -> None:
    world.deposit()
    request = Complete(world.record().record(), "posted", at="2026-11-21")
    first = world.completion.complete(request)
    world.clock.advance(seconds=9)
    changes = len(world.table.changes)
    assert world.completion.complete(request) == first
    assert len(world.table.changes) == changes


def test_the_first_end_is_final(world: World) -> None:
    world.deposit()
    pending = world.record()
    failed = world.complete(pending, "failed")
    late = world.complete(pending)
    assert late == failed
    assert failed.outcome == "failed"
    assert world.record().status == "failed"
    assert world.record().decline_code == ""
    assert [event["type"] for event in world.events()] == ["transfer.created", "transfer.failed"]


def test_a_failed_transfer_is_a_202_that_says_so(world: World) -> None:
    completed = world.complete(world.interrupted(), "failed")
    answer = world.send().answer
    assert (completed.outcome, completed.status, completed.body) == ("failed", 202, answer.body)
    assert body_of(answer)["status"] == "failed"


def test_a_missing_or_changed_record_is_a_fault(world: World) -> None:
    world.deposit()
    pending = world.record()
    stale = pending.record() | {"sequence": 7}
    with pytest.raises(ConditionFailed):
        world.completion.complete(Complete(stale, "posted"))
    with pytest.raises(ConditionFailed):
        world.completion.complete(Complete(pending.record() | {"id": "trf_other"}, "posted"))
    with pytest.raises(ConditionFailed):
        world.store.keep_answer("trf_other", respond(pending))
    assert world.record() == pending
