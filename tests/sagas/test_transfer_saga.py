"""The transfer saga, every branch, with the endpoint's use case before it and the real last step."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from common import clock, ids
from common.aws import client
from common.config import config
from common.dynamo import Table
from common.events import Actor
from common.idempotency import key_of
from common.tasks import Authorization, AuthorizeTransfer, Destination, Party

from functions.transfers.domain import First, Origin, Stored
from functions.transfers.service import Service
from functions.transfers.store import TransferStore
from tests.sagas.machine import Machine, definition, deployed
from tests.sagas.rooms import Ledger, Rooms, Runner
from tests.support.clock import FakeClock
from tests.support.tables import template

ANN, BOB = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
SOURCE, DESTINATION = "acc_01K0000000000000000000000A", "acc_01K0000000000000000000000B"


@pytest.fixture
def machine(rooms: Rooms) -> Iterator[Machine]:
    with deployed("transfer", **rooms.functions) as made:
        yield made


class Room:
    """The transfers room: real but for the accounts room's yes."""

    def __init__(self, machine: Machine) -> None:
        self.clock = FakeClock()
        self.store = TransferStore(Table(client("dynamodb"), config().table("transfers")))
        self.runner = Runner(machine)
        self.service = Service(
            self.store,
            self.runner,
            lambda request: Authorization(
                "authorized",
                source=Party("account", SOURCE, ANN, "Ann A."),
                destination=Party("account", DESTINATION, BOB, "Bob B.", alias="bob@example.com"),
            ),
            lambda request: Authorization("refused"),
            self.clock,
            ids.new_id,
            lambda seconds: self.clock.advance(seconds=seconds),
        )

    def send(self, description: str = "lunch", amount: int = 1050) -> First:
        key = key_of(ANN, "POST", "/v1/transfers", "key", {}, b"secret")
        origin = Origin(ANN, Actor(ANN), key, trace_id="t", instance="/v1/transfers")
        request = AuthorizeTransfer(ANN, None, Destination(email="bob@example.com"), amount, "USD", "123456")
        return self.service.send(origin, request, description, {})

    def stored(self) -> Stored:
        (transfer,) = self.store.history(ANN, "", "~", 10)
        stored = self.store.find(transfer.id)
        assert stored is not None
        return stored


@pytest.fixture
def room(machine: Machine) -> Room:
    return Room(machine)


def test_posted(room: Room, machine: Machine, ledger: Ledger) -> None:
    first = room.send()
    transfer, answer, _ = room.stored()
    assert (first.answer.status, first.answer) == (201, answer)
    assert (transfer.status, transfer.posted_at) == ("completed", "2026-11-21T09:30:01.000Z")
    assert ledger.posted == [
        {
            "transfer_id": transfer.id,
            "source_account_id": SOURCE,
            "destination_account_id": DESTINATION,
            "amount": 1050,
            "currency": "USD",
            "description": "lunch",
        }
    ]
    assert [name for name, _ in machine.invoked] == ["PostFunction", "CompleteFunction"]
    assert "123456" not in json.dumps(machine.invoked)


def test_declined(room: Room, ledger: Ledger) -> None:
    ledger.decline = "insufficient_funds"
    first = room.send()
    assert (first.answer.status, json.loads(first.answer.body)["code"]) == (422, "insufficient_funds")
    assert room.stored().transfer.status == "declined"
    assert room.stored().answer == first.answer
    assert ledger.posted == []


def test_failed(room: Room, ledger: Ledger, machine: Machine) -> None:
    machine.functions["PostFunction"] = lambda request: ledger.refuse({**request, "outcome": "failed", "code": ""})
    first = room.send()
    assert (first.answer.status, json.loads(first.answer.body)["status"]) == (202, "failed")
    assert room.stored().transfer.status == "failed"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["post", "complete"])
def test_three_faults_are_tried_again(
    room: Room, rooms: Rooms, machine: Machine, ledger: Ledger, step: str, moment: str
) -> None:
    getattr(rooms, moment)[step] = 3
    assert room.send().answer.status == 201
    assert len(ledger.posted) == 1
    assert len(machine.waits) == 3
    assert all(0 <= wait <= limit for wait, limit in zip(machine.waits, (1, 2, 4), strict=True))


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["post", "complete"])
def test_when_tries_are_spent_it_stays_pending_until_recovery(
    room: Room, rooms: Rooms, machine: Machine, ledger: Ledger, step: str, moment: str
) -> None:
    getattr(rooms, moment)[step] = 4
    first = room.send()
    ended_unseen = (step, moment) == ("complete", "after")
    assert first.answer.status == (201 if ended_unseen else 202)
    room.clock.advance(seconds=31)
    room.service.recover()
    assert len(room.runner.started) == (not ended_unseen)
    for transfer in room.runner.started:
        assert machine.run(transfer.saga_input()).status == "SUCCEEDED"
    assert room.stored().transfer.status == "completed"
    assert len(ledger.posted) == 1
    assert room.send() == First(first.answer, replayed=True)


def test_started_twice_it_posts_and_ends_once(room: Room, machine: Machine, ledger: Ledger) -> None:
    first = room.send()
    stored = room.stored()
    pending = replace(stored.transfer, status="pending", sequence=1, completed_at="", posted_at="")
    again = machine.run(pending.saga_input())
    assert again.output["body"] == first.answer.body
    assert room.stored() == stored
    assert len(ledger.posted) == 1


@pytest.mark.parametrize(
    ("description", "amount"),
    [("", 1), ('quotes " and \\ and {% $x %} and $states', 1), ("{% 1 %}", 10**15 - 1), ("ünïcødé ✓ 💶", 10**15)],
)
def test_what_people_write_passes_through(room: Room, ledger: Ledger, description: str, amount: int) -> None:
    answer = room.send(description, amount).answer
    assert f'"amount":{amount},' in answer.body  # an integer still, to the letter
    assert json.loads(answer.body)["description"] == description
    assert ledger.posted[0]["description"] == description
    assert json.dumps(ledger.posted[0]["amount"]) == str(amount)


def test_recovery_waits_until_the_saga_had_its_time(room: Room, rooms: Rooms) -> None:
    rooms.before["post"] = 4
    room.send()
    room.clock.at += timedelta(seconds=29)
    assert room.service.recover() == {"started": [], "failed": []}
    assert clock.timestamp(room.clock()) < "2026-11-21T09:30:30.000Z"


@pytest.mark.parametrize("saga", ["transfer", "deposit"])
def test_the_template_fills_in_every_function(saga: str) -> None:
    properties: dict[str, Any] = template()["Resources"][f"{saga.capitalize()}Saga"]["Properties"]
    states = json.loads(definition(saga))["States"].values()
    named = {state["Arguments"]["FunctionName"] for state in states if state["Type"] == "Task"}
    assert named == set(properties["DefinitionSubstitutions"])
    assert all(re.fullmatch(r"\w+Function", name) for name in named)
