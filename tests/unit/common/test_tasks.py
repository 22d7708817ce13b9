"""Tasks: typed at both ends, refusals as values, faults without their text."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from common import tasks
from common.contracts.accounts import APPROVE_TRANSFER, ApproveTransfer, Destination, Party, TransferApproval
from common.contracts.events import Actor
from common.contracts.task import Task
from common.errors import Refusal, TaskFailed
from common.observability import logger
from common.tasks import call, decode, serve

from tests.support.rest import CONTEXT


@dataclass(frozen=True)
class Double:
    number: int
    label: str = ""


@dataclass(frozen=True)
class Doubled:
    outcome: Literal["doubled"]
    number: int


DOUBLE = Task("context-double", Double, Doubled)


class FakeLambda:
    """Lambda as `call` uses it: invokes a handler of ours, by JSON in both directions."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self.invoked: list[str] = []

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.invoked.append(request["FunctionName"])
        try:
            payload = self._handler(json.loads(request["Payload"]), CONTEXT)
        except Exception as error:  # noqa: BLE001 (as Lambda reports any of them)
            body = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(json.dumps(body).encode())}
        return {"Payload": io.BytesIO(json.dumps(payload).encode())}


def served(monkeypatch: pytest.MonkeyPatch, handler: Any) -> FakeLambda:
    fake = FakeLambda(handler)
    monkeypatch.setattr(tasks, "client", lambda *_, **__: fake)
    return fake


def test_a_task_is_typed_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = served(monkeypatch, serve(DOUBLE, lambda request: Doubled("doubled", request.number * 2)))
    assert call(DOUBLE, Double(21)) == Doubled("doubled", 42)
    assert fake.invoked == ["remit-context-double"]


def test_nested_requests_and_outcomes_arrive_as_they_were_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ApproveTransfer] = []
    approval = TransferApproval(
        Party("account", "acc_1", "usr_1", "Ada"), Party("account", "acc_2", "usr_2", "Bob", alias="a@b.de"), "4242"
    )

    def run(request: ApproveTransfer) -> TransferApproval:
        seen.append(request)
        return approval

    served(monkeypatch, serve(APPROVE_TRANSFER, run))
    request = ApproveTransfer("usr_1", None, Destination(email="a@b.de"), 5, "USD", "123456", Actor("usr_1", ip="::1"))
    assert call(APPROVE_TRANSFER, request) == approval
    assert seen == [request]


def test_a_refusal_is_raised_again_at_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Double) -> Doubled:
        raise Refusal("rate_limited", "Wait a minute.", retry_after=42)

    served(monkeypatch, serve(DOUBLE, refuse))
    with pytest.raises(Refusal) as raised:
        call(DOUBLE, Double(1))
    refusal = raised.value
    assert (refusal.code, refusal.detail, refusal.retry_after) == ("rate_limited", "Wait a minute.", 42)


def test_a_fault_fails_the_caller_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Double) -> Doubled:
        raise RuntimeError("PIN 123456")

    handler = serve(DOUBLE, fail)
    with pytest.raises(TaskFailed, match=r"^context-double$"):
        handler({"number": 1}, CONTEXT)
    served(monkeypatch, handler)
    with pytest.raises(TaskFailed, match=r"^context-double$"):
        call(DOUBLE, Double(1))


@pytest.mark.parametrize("payload", [None, "text", [], 5])
def test_a_reply_that_is_no_object_fails_the_caller(monkeypatch: pytest.MonkeyPatch, payload: Any) -> None:
    served(monkeypatch, lambda *_: payload)
    with pytest.raises(TaskFailed):
        call(DOUBLE, Double(1))


@pytest.mark.parametrize("payload", [{}, {"number": "x"}, {"number": None}, {"number": True}, {"number": 1.5}, []])
def test_an_invalid_request_fails_without_its_values(payload: Any) -> None:
    with pytest.raises(TaskFailed, match=r"^context-double$"):
        serve(DOUBLE, lambda request: Doubled("doubled", request.number))(payload, CONTEXT)


def test_an_invalid_request_is_logged_without_its_values(caplog: pytest.LogCaptureFixture) -> None:
    logger().setLevel("ERROR")
    try:
        with pytest.raises(TaskFailed):
            serve(DOUBLE, lambda request: Doubled("doubled", request.number))({"number": "PIN 123456"}, CONTEXT)
    finally:
        logger().setLevel("CRITICAL")
    (record,) = caplog.records
    assert "/number" in str(vars(record))
    assert "123456" not in str(vars(record))


@dataclass(frozen=True)
class Record:
    name: str
    kind: Literal["a", "b"]
    amount: int
    flag: bool = False
    inner: Double | None = None
    data: Mapping[str, Any] | None = None


GOOD: dict[str, Any] = {"name": "x", "kind": "a", "amount": 5}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Record("x", "a", 5)),
        ({"flag": True}, Record("x", "a", 5, flag=True)),
        ({"inner": {"number": 1}}, Record("x", "a", 5, inner=Double(1))),
        ({"inner": None, "data": None}, Record("x", "a", 5)),
        ({"data": {"any": [1, None]}}, Record("x", "a", 5, data={"any": [1, None]})),
        ({"unknown": 1}, Record("x", "a", 5)),
        # JSONata's numbers are doubles: a state machine may write 10 million as 1.0E7.
        ({"amount": 1.0e7}, Record("x", "a", 10_000_000)),
    ],
)
def test_what_is_valid_is_decoded(changes: dict[str, Any], expected: Record) -> None:
    decoded = decode(Record, GOOD | changes)
    assert decoded == expected
    assert type(decoded.amount) is int


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"name": 5}, "/name"),
        ({"name": None}, "/name"),
        ({"kind": "c"}, "/kind"),
        ({"kind": []}, "/kind"),
        ({"amount": "5"}, "/amount"),
        ({"amount": True}, "/amount"),
        ({"amount": 5.5}, "/amount"),
        ({"amount": float("inf")}, "/amount"),
        ({"flag": 1}, "/flag"),
        ({"inner": {}}, "/inner/number"),
        ({"inner": {"number": "5"}}, "/inner/number"),
        ({"inner": 5}, "/inner"),
        ({"data": []}, "/data"),
    ],
)
def test_what_is_not_valid_names_its_field(changes: dict[str, Any], at: str) -> None:
    with pytest.raises(ValueError, match=f"^{at}: "):
        decode(Record, GOOD | changes)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match=r"^/amount: missing$"):
        decode(Record, {"name": "x", "kind": "a"})
