"""The deposit saga, every branch: the real rail, its queue and its answers, and the real last step."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from common import clock, ids
from common.aws import client
from common.config import config
from common.dynamo import Table
from common.events import SYSTEM
from common.idempotency import Idempotency
from common.tasks import Party

from functions.transfers.domain import Transfer, due_first
from functions.transfers.rail import answer_to
from functions.transfers.store import TransferStore
from tests.sagas.machine import Execution, Machine, deployed
from tests.sagas.rooms import Ledger, Rooms, deliver
from tests.support.tables import ROOT, template

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ANN = "usr_01K0000000000000000000000A"
ACCOUNT = "acc_01K0000000000000000000000A"


@pytest.fixture
def machine(rooms: Rooms) -> Iterator[Machine]:
    with deployed("deposit", **rooms.functions) as made:
        yield made


@pytest.fixture
def store() -> TransferStore:
    return TransferStore(Table(client("dynamodb"), config().table("transfers")))


def recorded(store: TransferStore, last4: str = "4242", kind: Any = "card") -> Transfer:
    """A deposit as POST /deposits leaves it."""
    transfer = Transfer(
        id=ids.new_id("trf", NOW),
        kind="deposit",
        amount=5000,
        currency="USD",
        source=Party(kind, "crd_01K0000000000000000000000A", ANN, "VISA", addressed=True),
        destination=Party("account", ACCOUNT, ANN, "Ann A.", addressed=True),
        initiated_by=ANN,
        description="savings",
        created_at=clock.timestamp(NOW),
        trace_id="t",
        instance="/v1/deposits",
        last4=last4,
    )
    key = Idempotency(transfer.id, "f")
    store.create(transfer, key, transfer.event(NOW, SYSTEM), due_first("deposit", NOW), transfer.answer())
    return transfer


def ended(store: TransferStore, transfer: Transfer) -> Transfer:
    stored = store.find(transfer.id)
    assert stored is not None
    # The client was told 202 before anything else, and that stays.
    assert stored.answer == transfer.answer()
    return stored.transfer


def run(machine: Machine, transfer: Transfer) -> Execution:
    return machine.run(transfer.saga_input())


@pytest.mark.parametrize("kind", ["card", "bank_account"])
def test_confirmed(machine: Machine, store: TransferStore, ledger: Ledger, kind: str) -> None:
    transfer = recorded(store, kind=kind)
    execution = run(machine, transfer)
    assert (execution.status, execution.states) == ("SUCCEEDED", ["Submit", "Answered", "Post", "Complete"])
    assert ledger.posted == [
        {
            "transfer_id": transfer.id,
            "source_account_id": "rail:sandbox:USD",
            "destination_account_id": ACCOUNT,
            "amount": 5000,
            "currency": "USD",
            "description": "savings",
        }
    ]
    assert ended(store, transfer).status == "completed"
    assert ended(store, transfer).posted_at == "2026-11-21T09:30:01.000Z"


@pytest.mark.parametrize(("kind", "code"), [("card", "card_declined"), ("bank_account", "bank_declined")])
def test_declined_by_the_rail(machine: Machine, store: TransferStore, ledger: Ledger, kind: str, code: str) -> None:
    transfer = recorded(store, "0002", kind)
    execution = run(machine, transfer)
    assert (execution.status, execution.states) == ("SUCCEEDED", ["Submit", "Answered", "Refuse", "Complete"])
    assert ledger.markers[transfer.id]["outcome"] == "declined"
    assert ledger.posted == []
    assert (ended(store, transfer).status, ended(store, transfer).decline_code) == ("declined", code)


def test_a_silent_rail_fails_it_after_a_minute(machine: Machine, store: TransferStore, ledger: Ledger) -> None:
    transfer = recorded(store, "0259", "bank_account")
    execution = run(machine, transfer)
    assert (execution.status, execution.states) == ("SUCCEEDED", ["Submit", "Refuse", "Complete"])
    assert machine.waits == [60]
    assert len(machine.calls("SubmitFunction")) == 1
    assert (ended(store, transfer).status, ended(store, transfer).decline_code) == ("failed", "")
    assert ledger.posted == []


def test_a_late_confirmation_posts_nothing(
    machine: Machine, store: TransferStore, ledger: Ledger, rooms: Rooms
) -> None:
    transfer = recorded(store, "0259", "bank_account")
    run(machine, transfer)
    late = {"transfer_id": transfer.id, "task_token": rooms.tokens[0], "outcome": "confirmed", "code": ""}
    assert deliver(late) == {"batchItemFailures": []}
    # A second execution, whose rail does confirm, as recovery might have started it.
    second = run(machine, replace(transfer, last4="4242"))
    assert second.states == ["Submit", "Answered", "Post", "Complete"]
    assert second.output["outcome"] == "failed"
    assert ledger.posted == []
    assert ended(store, transfer).status == "failed"


def test_a_rail_that_can_not_be_reached_is_tried_four_times_and_fails_it(
    machine: Machine, store: TransferStore, ledger: Ledger, rooms: Rooms
) -> None:
    rooms.before["submit"] = 4
    transfer = recorded(store)
    execution = run(machine, transfer)
    assert execution.states == ["Submit", "Refuse", "Complete"]
    assert len(machine.calls("SubmitFunction")) == 4
    assert ended(store, transfer).status == "failed"
    assert ledger.posted == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rail_that_is_reached_in_the_end_confirms(
    machine: Machine, store: TransferStore, ledger: Ledger, rooms: Rooms, moment: str
) -> None:
    getattr(rooms, moment)["submit"] = 3
    transfer = recorded(store)
    assert run(machine, transfer).states == ["Submit", "Answered", "Post", "Complete"]
    assert len(machine.calls("SubmitFunction")) == 4
    assert len(ledger.posted) == 1
    assert ended(store, transfer).status == "completed"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("step", "last4"), [("post", "4242"), ("refuse", "0002"), ("complete", "4242")])
def test_eight_faults_are_tried_again(
    machine: Machine, store: TransferStore, ledger: Ledger, rooms: Rooms, step: str, last4: str, moment: str
) -> None:
    getattr(rooms, moment)[step] = 8
    transfer = recorded(store, last4)
    assert run(machine, transfer).status == "SUCCEEDED"
    assert len(machine.waits) == 8
    assert max(machine.waits) <= 30
    assert ended(store, transfer).status == ("declined" if last4 == "0002" else "completed")
    assert len(ledger.posted) == (last4 == "4242")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("step", "last4"), [("post", "4242"), ("refuse", "0002"), ("complete", "4242")])
def test_when_tries_are_spent_another_execution_finishes_it(
    machine: Machine, store: TransferStore, ledger: Ledger, rooms: Rooms, step: str, last4: str, moment: str
) -> None:
    getattr(rooms, moment)[step] = 9
    transfer = recorded(store, last4)
    assert run(machine, transfer).status == "FAILED"
    assert run(machine, transfer).status == "SUCCEEDED"
    assert ended(store, transfer).status == ("declined" if last4 == "0002" else "completed")
    assert len(ledger.posted) == (last4 == "4242")


def test_declined_by_the_ledger(machine: Machine, store: TransferStore, ledger: Ledger) -> None:
    ledger.decline = "payee_not_found"
    transfer = recorded(store)
    assert run(machine, transfer).states == ["Submit", "Answered", "Post", "Complete"]
    assert (ended(store, transfer).status, ended(store, transfer).decline_code) == ("declined", "payee_not_found")


def test_refused_too_late_what_has_posted_is_completed(machine: Machine, store: TransferStore, ledger: Ledger) -> None:
    transfer = recorded(store, "0259", "bank_account")
    ledger.post({"transfer_id": transfer.id})
    execution = run(machine, transfer)
    assert execution.states == ["Submit", "Refuse", "Complete"]
    assert ended(store, transfer).status == "completed"


def test_two_executions_end_alike(machine: Machine, store: TransferStore, ledger: Ledger) -> None:
    transfer = recorded(store)
    first, second = run(machine, transfer), run(machine, transfer)
    assert first.output == second.output
    assert len(ledger.posted) == 1


def test_a_rails_answer_that_was_dropped_comes_again_in_time() -> None:
    resources = template()["Resources"]
    saga = yaml.safe_load((ROOT / "statemachines" / "deposit.asl.yaml").read_text())
    again = resources["RailQueue"]["Properties"]["VisibilityTimeout"]
    slowest = answer_to("card", "0259")
    assert slowest is not None
    assert resources["TransfersRailAnswer"]["Properties"]["Timeout"] < again
    assert slowest.seconds + 2 * again < saga["States"]["Submit"]["TimeoutSeconds"]
