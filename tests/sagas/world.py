"""A saga and the contexts around it: the transfers context over moto, and a ledger with step outcomes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from common.aws import client
from common.config import config
from common.contracts.transfers import Completed
from common.dynamo import Table

from functions.transfers.domain.lifecycle import SagaUnavailable
from functions.transfers.domain.transfers import Transfer, TransferState
from functions.transfers.events import rail_answer
from functions.transfers.store.history import HistoryStore
from functions.transfers.tasks import complete, submit
from tests.sagas.state_machine import Execution, StateMachine, deployed
from tests.support.rest import CONTEXT
from tests.unit.transfers import world
from tests.unit.transfers.world import ANN


class Ledger:
    """The guarantee of the accounts context to sagas: the first outcome of a transfer's step is final."""

    def __init__(self) -> None:
        self.decline = ""
        self.outcomes: dict[str, dict[str, str]] = {}
        self.posted: list[dict[str, Any]] = []

    def post(self, request: dict[str, Any]) -> dict[str, str]:
        at = "2026-11-21T09:30:01.000Z"
        new = {"outcome": "posted", "code": "", "at": at}
        if self.decline:
            new = {"outcome": "declined", "code": self.decline, "at": at}
        outcome = self.outcomes.setdefault(request["transfer_id"], new)
        if outcome is new and outcome["outcome"] == "posted":
            self.posted.append(request)
        return outcome

    def refuse(self, request: dict[str, Any]) -> dict[str, str]:
        outcome = {"outcome": request["outcome"], "code": request["code"], "at": "2026-11-21T09:31:00.000Z"}
        return self.outcomes.setdefault(request["transfer_id"], outcome)


class Sagas:
    """Runs sagas on a deployed state machine. What `start` gets is only recorded."""

    machine: StateMachine

    def __init__(self) -> None:
        self.started: list[Transfer] = []

    def run(self, transfer: Transfer) -> Completed:
        execution = self.machine.run(transfer.saga_input())
        if execution.status != "SUCCEEDED":
            raise SagaUnavailable(transfer.id)
        return Completed(**execution.output)

    def start(self, transfer: Transfer, attempt: int) -> None:
        self.started.append(transfer)


class World(world.World):
    """The transfers context over moto, one deployed saga, and the functions that it calls.

    `before` and `after` say how often a function fails before it runs, or after its effect.
    """

    def __init__(self) -> None:
        super().__init__(Table(client("dynamodb"), config().table("transfers")), Sagas())
        self.ledger = Ledger()
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.tokens: list[str] = []
        self.functions = {
            "PostFunction": self._faulty("post", self.ledger.post),
            "RefuseFunction": self._faulty("refuse", self.ledger.refuse),
            "CompleteFunction": self._faulty("complete", lambda request: complete.handler(request, CONTEXT)),
            "SubmitFunction": self._faulty("submit", self._submit),
        }

    @property
    def machine(self) -> StateMachine:
        return self.sagas.machine

    def execute(self, transfer: Transfer) -> Execution:
        return self.machine.run(transfer.saga_input())

    def state(self) -> TransferState:
        """The state of the only transfer that was sent."""
        (transfer,) = HistoryStore(self.table).list(ANN, "", "~", 10)
        state = self.store.find(transfer.id)
        assert state is not None
        return state

    def _faulty(self, name: str, run: Any) -> Any:
        def function(request: dict[str, Any]) -> Any:
            for moment, faults in ((False, self.before), (True, self.after)):
                answer = run(request) if moment else None
                if faults.get(name, 0):
                    faults[name] -= 1
                    raise RuntimeError(name)
            return answer

        return function

    def _submit(self, request: dict[str, Any]) -> Any:
        self.tokens.append(request["task_token"])
        answer = submit.handler(request, CONTEXT)
        sqs = boto3.client("sqs")
        for message in sqs.receive_message(QueueUrl=config().rail_queue, MaxNumberOfMessages=10).get("Messages", []):
            assert deliver(json.loads(message["Body"])) == {"batchItemFailures": []}
            sqs.delete_message(QueueUrl=config().rail_queue, ReceiptHandle=message["ReceiptHandle"])
        return answer


@contextmanager
def world_of(saga: str) -> Iterator[World]:
    """The world of a deployed saga."""
    made = World()
    with deployed(saga, **made.functions) as made.sagas.machine:
        yield made


def deliver(message: dict[str, Any]) -> dict[str, Any]:
    """Deliver one message of the rail's queue."""
    record = {"messageId": "1", "body": json.dumps(message), "eventSource": "aws:sqs", "attributes": {}}
    return rail_answer.handler({"Records": [record]}, CONTEXT)
