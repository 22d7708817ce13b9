"""The rooms around a saga: the transfers room as it is, over moto, and a ledger that keeps its markers."""

import json
from typing import Any

import boto3
from common.config import config
from common.tasks import Completed

from functions.transfers.domain import SagaUnavailable, Transfer
from functions.transfers.events import rail_answer
from functions.transfers.tasks import complete, submit
from tests.sagas.machine import Machine
from tests.support.rest import CONTEXT


class Ledger:
    """The accounts room's promise to sagas: the first outcome of a transfer stays its outcome."""

    def __init__(self) -> None:
        self.decline = ""
        self.markers: dict[str, dict[str, str]] = {}
        self.posted: list[dict[str, Any]] = []

    def post(self, request: dict[str, Any]) -> dict[str, str]:
        at = "2026-11-21T09:30:01.000Z"
        outcome = {"outcome": "posted", "code": "", "at": at}
        if self.decline:
            outcome = {"outcome": "declined", "code": self.decline, "at": at}
        marker = self.markers.setdefault(request["transfer_id"], outcome)
        if marker is outcome and marker["outcome"] == "posted":
            self.posted.append(request)
        return marker

    def refuse(self, request: dict[str, Any]) -> dict[str, str]:
        outcome = {"outcome": request["outcome"], "code": request["code"], "at": "2026-11-21T09:31:00.000Z"}
        return self.markers.setdefault(request["transfer_id"], outcome)


class Rooms:
    """The functions that sagas call. `faults` names how often a function dies before it runs, or after its effect."""

    def __init__(self, ledger: Ledger) -> None:
        self.before: dict[str, int] = {}
        self.after: dict[str, int] = {}
        self.tokens: list[str] = []
        self.functions = {
            "PostFunction": self._faulty("post", ledger.post),
            "RefuseFunction": self._faulty("refuse", ledger.refuse),
            "CompleteFunction": self._faulty("complete", lambda request: complete.handler(request, CONTEXT)),
            "SubmitFunction": self._faulty("submit", self._submit),
        }

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
        self.rail_answers()
        return answer

    def rail_answers(self) -> None:
        """Lets the rail's queue deliver what it holds."""
        sqs = boto3.client("sqs")
        for message in sqs.receive_message(QueueUrl=config().rail_queue, MaxNumberOfMessages=10).get("Messages", []):
            assert deliver(json.loads(message["Body"])) == {"batchItemFailures": []}
            sqs.delete_message(QueueUrl=config().rail_queue, ReceiptHandle=message["ReceiptHandle"])


def deliver(message: dict[str, Any]) -> dict[str, Any]:
    """One message of the rail, as its queue hands it over."""
    record = {"messageId": "1", "body": json.dumps(message), "eventSource": "aws:sqs", "attributes": {}}
    return rail_answer.handler({"Records": [record]}, CONTEXT)


class Runner:
    """The port of the sagas, over a machine that the test runs."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.started: list[Transfer] = []

    def run(self, transfer: Transfer) -> Completed:
        execution = self._machine.run(transfer.saga_input())
        if execution.status != "SUCCEEDED":
            raise SagaUnavailable(transfer.id)
        return Completed(**execution.output)

    def start(self, transfer: Transfer, attempt: int) -> None:
        self.started.append(transfer)
