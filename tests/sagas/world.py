"""A saga and the contexts around it: the transfers context over moto, and a ledger with step outcomes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
from common.aws import client
from common.config import config
from common.contracts.transfers import Completed
from common.dynamo import Table

from functions.transfers import bootstrap
from functions.transfers.domain.lifecycle import SagaUnavailable
from functions.transfers.domain.transfers import Transfer, TransferState
from functions.transfers.events import rail_answer
from functions.transfers.service.rail import RailAnswers
from functions.transfers.store.history import HistoryStore
from functions.transfers.tasks import complete, submit
from tests.sagas.state_machine import Execution, StateMachine, deployed
from tests.support.rest import CONTEXT
from tests.unit.transfers import world
from tests.unit.transfers.world import ANN


class Ledger:
    """The guarantee of the accounts context to sagas: the first outcome of a transfer's step is final.

    An account that expects money is not closed. It expects the money of a transfer until the transfer's posting step
    has an outcome.
    """

    def __init__(self) -> None:
        self.decline = ""
        self.closed: set[str] = set()
        self.expecting: dict[str, str] = {}
        self.expected: dict[str, dict[str, str]] = {}
        self.outcomes: dict[str, dict[str, str]] = {}
        self.posted: list[dict[str, Any]] = []

    def close(self, account_id: str) -> bool:
        """Close an account, unless it expects money."""
        if account_id not in self.expecting.values():
            self.closed.add(account_id)
        return account_id in self.closed

    def expect(self, request: dict[str, Any]) -> dict[str, str]:
        transfer_id, account_id = request["transfer_id"], request["account_id"]
        if transfer_id not in self.expected:
            is_refused = account_id in self.closed or transfer_id in self.outcomes
            if not is_refused:
                self.expecting[transfer_id] = account_id
            self.expected[transfer_id] = (
                {"outcome": "refused", "code": "payee_not_found"} if is_refused else {"outcome": "expected", "code": ""}
            )
        return self.expected[transfer_id]

    def post(self, request: dict[str, Any]) -> dict[str, str]:
        self._end_expectation(
            request["transfer_id"], request["destination_account_id"] if request.get("is_expected") else ""
        )
        at = "2026-11-21T09:30:01.000Z"
        new = {"outcome": "posted", "code": "", "at": at}
        if self.decline:
            new = {"outcome": "declined", "code": self.decline, "at": at}
        outcome = self.outcomes.setdefault(request["transfer_id"], new)
        if outcome is new and outcome["outcome"] == "posted":
            self.posted.append(request)
        return outcome

    def refuse(self, request: dict[str, Any]) -> dict[str, str]:
        self._end_expectation(request["transfer_id"], request.get("expecting_account_id", ""))
        outcome = {"outcome": request["outcome"], "code": request["code"], "at": "2026-11-21T09:31:00.000Z"}
        return self.outcomes.setdefault(request["transfer_id"], outcome)

    def _end_expectation(self, transfer_id: str, account_id: str) -> None:
        # A request names the account if and only if it was made to expect the money, whenever that was.
        is_expected = self.expected.get(transfer_id, {}).get("outcome") == "expected"
        assert bool(account_id) == is_expected
        if transfer_id not in self.outcomes and is_expected:
            assert self.expecting.pop(transfer_id) == account_id


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

    `before` and `after` say how often a function fails before it runs, or after its effect. `refused_refunds` says how
    often the rail does not take money back.
    """

    def __init__(self) -> None:
        super().__init__(Table(client("dynamodb"), config().table("transfers")), Sagas())
        self.ledger = Ledger()
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.refused_refunds = 0
        self.tokens: list[str] = []
        self.functions = {
            "ExpectFunction": self._faulty("expect", self.ledger.expect),
            "PostFunction": self._faulty("post", self.ledger.post),
            "RefuseFunction": self._faulty("refuse", self.ledger.refuse),
            "CompleteFunction": self._faulty("complete", lambda request: complete.handler(request, CONTEXT)),
            "SubmitFunction": lambda request: self._faulty(
                {"collect": "submit", "refund": "refund"}[request["operation"]], self._submit
            )(request),
        }

    @property
    def machine(self) -> StateMachine:
        return self.sagas.machine

    def records(self) -> list[dict[str, Any]]:
        return [item for item in self.table.scan() if item["sk"] == "R"]

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
            answer_of_rail = json.loads(message["Body"])
            if answer_of_rail["operation"] == "refund" and self.refused_refunds:
                self.refused_refunds -= 1
                answer_of_rail["outcome"] = "declined"
            assert deliver(answer_of_rail) == {"batchItemFailures": []}
            sqs.delete_message(QueueUrl=config().rail_queue, ReceiptHandle=message["ReceiptHandle"])
        return answer


@contextmanager
def world_of(saga: str) -> Iterator[World]:
    """The world of a deployed saga."""
    made = World()
    answers = RailAnswers(made.store, bootstrap.sagas().resume, made.clock)
    with (
        mock.patch.object(rail_answer, "rail_answers", lambda: answers),
        deployed(saga, **made.functions) as made.sagas.machine,
    ):
        yield made


def deliver(message: dict[str, Any]) -> dict[str, Any]:
    """Deliver one message of the rail's queue."""
    record = {"messageId": "1", "body": json.dumps(message), "eventSource": "aws:sqs", "attributes": {}}
    return rail_answer.handler({"Records": [record]}, CONTEXT)
