"""The adapters (the state machines, the rail), and the handlers of tasks, queues and schedules."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, ReadTimeoutError
from common.config import config
from common.contracts.transfers import SUBMIT, Submit
from common.errors import TaskFailed

from functions.transfers import bootstrap
from functions.transfers.adapters import rail, saga
from functions.transfers.adapters.rail import SandboxAnswer, SandboxRail, answer_to
from functions.transfers.adapters.saga import StepFunctions
from functions.transfers.domain.lifecycle import SagaUnavailable
from functions.transfers.domain.transfers import Transfer
from functions.transfers.events import rail_answer, recover
from functions.transfers.service.rail import RailAnswers
from functions.transfers.tasks import complete, submit
from tests.support.rest import CONTEXT
from tests.unit.transfers.world import World

TOKEN = "task-token-that-must-not-be-logged"


class Client:
    """An AWS client that returns `reply` from each call, or raises it."""

    def __init__(self, reply: Any = None) -> None:
        self.reply = reply
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.options: dict[str, Any] = {}

    def made_with(self, options: dict[str, Any]) -> "Client":
        self.options = options
        return self

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.calls.append((operation, request))
            if isinstance(self.reply, Exception):
                raise self.reply
            return self.reply

        return call


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    client = Client()
    monkeypatch.setattr(saga, "client", lambda service, **options: client.made_with(options))
    monkeypatch.setattr(rail, "client", lambda service: client)
    return client


@pytest.fixture
def transfer(world: World) -> Transfer:
    world.send()
    return world.record()


@pytest.fixture
def deposit(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a recorded deposit, whose answers resume a state machine."""
    world.deposit()
    answers = RailAnswers(world.store, StepFunctions().resume, world.clock)
    monkeypatch.setattr(rail_answer, "rail_answers", lambda: answers)
    return world.record().id


def test_a_run_returns_what_complete_returned(aws: Client, transfer: Transfer) -> None:
    completed = {"outcome": "completed", "status": 201, "body": "{}", "content_type": "x", "location": "/y"}
    aws.reply = {"status": "SUCCEEDED", "output": json.dumps(completed)}
    answer = StepFunctions().run(transfer)
    assert (answer.status, answer.body, answer.location) == (201, "{}", "/y")
    ((operation, request),) = aws.calls
    assert operation == "start_sync_execution"
    assert request["stateMachineArn"] == config().state_machine("transfer")
    assert json.loads(request["input"]) == {"transfer": transfer.record()}


@pytest.mark.parametrize(
    "reply",
    [
        {"status": "FAILED", "error": "States.TaskFailed"},
        {"status": "TIMED_OUT"},
        refused("StateMachineDoesNotExist"),
        ReadTimeoutError(endpoint_url="https://sync-states.example"),
    ],
)
def test_a_run_without_an_outcome_is_unavailable(aws: Client, transfer: Transfer, reply: Any) -> None:
    aws.reply = reply
    with pytest.raises(SagaUnavailable):
        StepFunctions().run(transfer)


def test_the_largest_input_fits_a_saga(aws: Client, transfer: Transfer) -> None:
    text = chr(0x1F4B6)
    largest = replace(
        transfer,
        amount=10**15,
        description=text * 500,
        metadata={f"{number:02}".ljust(40, text): text * 500 for number in range(50)},
    )
    StepFunctions().start(largest, 1)
    with pytest.raises(TypeError):
        StepFunctions().run(largest)
    for _, request in aws.calls:
        assert len(request["input"].encode()) <= 256 * 1024
        assert json.loads(request["input"]) == largest.saga_input()


def test_a_start_is_named_for_transfer_and_attempt(aws: Client, transfer: Transfer) -> None:
    StepFunctions().start(transfer, 3)
    ((operation, request),) = aws.calls
    assert (operation, request["name"]) == ("start_execution", f"{transfer.id}-3")
    assert request["stateMachineArn"] == config().state_machine("transfer")


def test_a_start_succeeds_if_it_was_started_before_and_else_is_unavailable(aws: Client, transfer: Transfer) -> None:
    aws.reply = refused("ExecutionAlreadyExists")
    StepFunctions().start(transfer, 0)
    for fault in (refused("ThrottlingException"), ReadTimeoutError(endpoint_url="https://states.example")):
        aws.reply = fault
        with pytest.raises(SagaUnavailable):
            StepFunctions().start(transfer, 0)


def test_a_run_is_never_retried_and_times_out_early_enough(aws: Client, transfer: Transfer) -> None:
    aws.reply = {"status": "TIMED_OUT"}
    with pytest.raises(SagaUnavailable):
        StepFunctions().run(transfer)
    assert aws.options["attempts"] == 1
    assert aws.options["read_timeout"] < 25


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_answer_for_a_finished_execution_is_ignored_and_logged(
    aws: Client, world: World, deposit: str, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    lines = io.StringIO()
    log = Logger(service=f"late-{code}", level="DEBUG", stream=lines)
    monkeypatch.setattr(rail_answer, "logger", lambda: log)
    aws.reply = refused(code)
    assert rail_answer.handler(messages(deposit, "confirmed"), CONTEXT) == {"batchItemFailures": []}
    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert (line["level"], line["transfer_id"], line["outcome"]) == ("WARNING", deposit, "confirmed")
    assert line["message"] == "rail answer recorded: execution already finished"
    assert TOKEN not in lines.getvalue()
    assert world.record().rail_outcome == "confirmed"


def test_another_fault_fails_the_message_and_logs_no_token(
    aws: Client, deposit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = io.StringIO()
    log = Logger(service="listening", level="DEBUG", stream=lines)
    monkeypatch.setattr("common.events.logger", lambda: log)
    aws.reply = refused("ThrottlingException")
    reply = rail_answer.handler(messages(deposit, "confirmed"), CONTEXT)
    assert reply == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert "ThrottlingException" in lines.getvalue()
    assert TOKEN not in lines.getvalue()


def test_a_rail_answer_resumes_the_saga(aws: Client, deposit: str) -> None:
    rail_answer.handler(messages(deposit, "declined", "card_declined"), CONTEXT)
    ((operation, request),) = aws.calls
    assert (operation, request["taskToken"]) == ("send_task_success", TOKEN)
    assert json.loads(request["output"]) == {"outcome": "declined", "code": "card_declined"}


def test_an_answer_about_an_unknown_transfer_is_delivered_again(aws: Client, deposit: str) -> None:
    reply = rail_answer.handler(messages("trf_other", "confirmed"), CONTEXT)
    assert reply == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert aws.calls == []


def test_an_answer_without_an_operation_is_that_of_a_collection(aws: Client, world: World, deposit: str) -> None:
    """Messages that were sent before there were refunds."""
    batch = messages(deposit, "confirmed")
    body = json.loads(batch["Records"][0]["body"])
    del body["operation"]
    batch["Records"][0]["body"] = json.dumps(body)
    rail_answer.handler(batch, CONTEXT)
    assert world.record().rail_outcome == "confirmed"


def messages(transfer_id: str, outcome: str, code: str = "") -> dict[str, Any]:
    body = {
        "transfer_id": transfer_id,
        "task_token": TOKEN,
        "operation": "collect",
        "outcome": outcome,
        "code": code,
    }
    record = {"messageId": "message-0", "body": json.dumps(body), "eventSource": "aws:sqs", "attributes": {}}
    return {"Records": [record]}


@pytest.mark.parametrize("operation", ["collect", "refund"])
@pytest.mark.parametrize(
    ("instrument", "last4", "answer"),
    [
        ("card", "4242", SandboxAnswer("confirmed", "", 0)),
        ("card", "0002", SandboxAnswer("declined", "card_declined", 0)),
        ("card", "0259", SandboxAnswer("confirmed", "", 30)),
        ("bank_account", "3000", SandboxAnswer("confirmed", "", 0)),
        ("bank_account", "0002", SandboxAnswer("declined", "bank_declined", 0)),
        ("bank_account", "0259", None),
    ],
)
def test_the_sandbox_rail(
    aws: Client, instrument: Any, last4: str, answer: SandboxAnswer | None, operation: Any
) -> None:
    assert answer_to(instrument, last4) == answer
    for _ in range(2):
        submitted = SandboxRail().submit(Submit("trf_1", 100, "USD", instrument, last4, TOKEN, operation))
        assert submitted.outcome == "submitted"
    if answer is None:
        assert aws.calls == []
        return
    first, again = aws.calls
    assert first == again
    assert first[1]["QueueUrl"] == config().rail_queue
    assert first[1]["DelaySeconds"] == answer.delay_seconds
    message = json.loads(first[1]["MessageBody"])
    assert (message["outcome"], message["code"], message["task_token"]) == (answer.outcome, answer.code, TOKEN)
    assert (message["transfer_id"], message["operation"]) == ("trf_1", operation)


def test_a_submission_that_does_not_reach_the_rail_is_a_fault(aws: Client) -> None:
    aws.reply = refused("ServiceUnavailable")
    request = {
        "transfer_id": "trf_1",
        "amount": 1,
        "currency": "USD",
        "instrument": "card",
        "last4": "4242",
        "task_token": TOKEN,
    }
    with pytest.raises(TaskFailed):
        submit.handler(request, CONTEXT)
    assert SUBMIT.name == "transfers-submit"


def test_complete_serves_a_task(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deposit()
    monkeypatch.setattr(complete, "completion", lambda: world.completion)
    request = {"transfer": world.record().record(), "outcome": "posted", "code": "", "at": "2026-11-21T09:30:01.000Z"}
    answer = complete.handler(request, CONTEXT)
    assert (answer["outcome"], answer["status"]) == ("completed", 202)
    assert world.record().posted_at == "2026-11-21T09:30:01.000Z"


def test_recovery_serves_a_schedule(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deposit()
    world.sagas.started.clear()
    world.clock.advance(minutes=3)
    monkeypatch.setattr(recover, "recovery", lambda: world.recovery)
    recover.handler({}, CONTEXT)
    assert world.sagas.started == [(world.record().id, 1)]


@pytest.mark.parametrize(
    "name", ["transfers", "deposits", "completion", "history", "recovery", "rail_answers", "users", "sagas", "rail"]
)
def test_wiring_is_built_once(name: str) -> None:
    built = getattr(bootstrap, name)
    assert built() is built()
