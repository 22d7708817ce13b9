"""The transfer saga, every branch, with the use case that starts it and the real last step."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from common import clock
from common.contracts.accounts import Destination
from common.idempotency import KeyedAnswer

from tests.sagas.state_machine import definition
from tests.sagas.world import World, world_of
from tests.support.tables import template
from tests.unit.transfers.world import ANN_ACCOUNT, BOB_ACCOUNT, BOB_EMAIL


@pytest.fixture
def world() -> Iterator[World]:
    with world_of("transfer") as made:
        yield made


def send(world: World, description: str = "lunch", amount: int = 1050) -> KeyedAnswer:
    to_bob = Destination(email=BOB_EMAIL)
    return world.send(amount=amount, destination=to_bob, description=description, pin="123456")


def test_posted(world: World) -> None:
    first = send(world)
    transfer, answer, _ = world.state()
    assert (first.answer.status, first.answer) == (201, answer)
    assert (transfer.status, transfer.posted_at) == ("completed", "2026-11-21T09:30:01.000Z")
    assert world.ledger.posted == [
        {
            "transfer_id": transfer.id,
            "source_account_id": ANN_ACCOUNT,
            "destination_account_id": BOB_ACCOUNT,
            "amount": 1050,
            "currency": "USD",
            "description": "lunch",
        }
    ]
    assert [name for name, _ in world.machine.invoked] == ["PostFunction", "CompleteFunction"]
    assert "123456" not in json.dumps(world.machine.invoked)


def test_declined(world: World) -> None:
    world.ledger.decline = "insufficient_funds"
    first = send(world)
    assert (first.answer.status, json.loads(first.answer.body)["code"]) == (422, "insufficient_funds")
    assert world.state().transfer.status == "declined"
    assert world.state().answer == first.answer
    assert world.ledger.posted == []


def test_failed(world: World) -> None:
    world.machine.functions["PostFunction"] = lambda request: world.ledger.refuse(
        {**request, "outcome": "failed", "code": ""}
    )
    first = send(world)
    assert (first.answer.status, json.loads(first.answer.body)["status"]) == (202, "failed")
    assert world.state().transfer.status == "failed"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["post", "complete"])
def test_three_faults_are_retried(world: World, step: str, moment: str) -> None:
    getattr(world, moment)[step] = 3
    assert send(world).answer.status == 201
    assert len(world.ledger.posted) == 1
    assert len(world.machine.waits) == 3
    assert all(0 <= wait <= limit for wait, limit in zip(world.machine.waits, (1, 2, 4), strict=True))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["post", "complete"])
def test_when_retries_are_spent_it_stays_pending_until_recovery(world: World, step: str, moment: str) -> None:
    getattr(world, moment)[step] = 4
    first = send(world)
    ended_unseen = (step, moment) == ("complete", "after")
    assert first.answer.status == (201 if ended_unseen else 202)
    world.clock.advance(seconds=31)
    world.recovery.run()
    assert len(world.sagas.started) == (not ended_unseen)
    for transfer in world.sagas.started:
        assert world.execute(transfer).status == "SUCCEEDED"
    assert world.state().transfer.status == "completed"
    assert len(world.ledger.posted) == 1
    assert send(world) == KeyedAnswer(first.answer, replayed=True)


def test_started_twice_it_posts_and_ends_once(world: World) -> None:
    first = send(world)
    stored = world.state()
    pending = replace(stored.transfer, status="pending", sequence=1, completed_at="", posted_at="")
    again = world.execute(pending)
    assert again.output["body"] == first.answer.body
    assert world.state() == stored
    assert len(world.ledger.posted) == 1


@pytest.mark.parametrize(
    ("description", "amount"),
    [("", 1), ('quotes " and \\ and {% $x %} and $states', 1), ("{% 1 %}", 10**15 - 1), ("ünïcødé ✓ 💶", 10**15)],
)
def test_text_and_amounts_pass_through_unchanged(world: World, description: str, amount: int) -> None:
    answer = send(world, description, amount).answer
    assert f'"amount":{amount},' in answer.body  # still an integer, digit by digit
    assert json.loads(answer.body)["description"] == description
    assert world.ledger.posted[0]["description"] == description
    assert json.dumps(world.ledger.posted[0]["amount"]) == str(amount)


def test_recovery_waits_until_the_saga_has_had_its_time(world: World) -> None:
    world.before["post"] = 4
    send(world)
    world.clock.at += timedelta(seconds=29)
    assert world.recovery.run() == {"started": [], "failed": []}
    assert clock.timestamp(world.clock()) < "2026-11-21T09:30:30.000Z"


@pytest.mark.parametrize("saga", ["transfer", "deposit"])
def test_the_template_substitutes_every_function(saga: str) -> None:
    properties: dict[str, Any] = template()["Resources"][f"{saga.capitalize()}Saga"]["Properties"]
    states = json.loads(definition(saga))["States"].values()
    named = {state["Arguments"]["FunctionName"] for state in states if state["Type"] == "Task"}
    assert named == set(properties["DefinitionSubstitutions"])
    assert all(re.fullmatch(r"\w+Function", name) for name in named)
