"""Events from outbox to consumer, and tasks from caller to room."""

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from common import events
from common.events import SYSTEM, Actor, Event, consume_queue, outbox, publish_stream
from common.observability import logger
from common.tasks import AUTHORIZE_TRANSFER, AuthorizeTransfer, Destination, Task, TaskFailed, serve

from tests.support.clock import FakeClock
from tests.support.rest import CONTEXT

AT = FakeClock()()
CREATED = Event.new("transfer.created", "trf_1", 1, AT, {"amount": 5}, Actor("usr_1", "ses_1", "203.0.113.7", "tests"))
COMPLETED = Event.new("transfer.completed", "trf_1", 2, AT, {"amount": 5})


def test_an_event_is_a_cloudevent() -> None:
    item = CREATED.item()
    assert {"id", "source", "type", "subject", "time", "data", "specversion"} <= item.keys()
    assert (item["specversion"], item["source"]) == ("1.0", "/remit/transfers")
    assert Event.of(json.loads(json.dumps(item))) == CREATED


def test_the_same_change_gives_the_same_event_whenever_it_is_written() -> None:
    clock = FakeClock()
    clock.advance(hours=1)
    assert Event.new("transfer.created", "trf_1", 1, clock(), {}).id == CREATED.id
    assert len({CREATED.id, COMPLETED.id, Event.new("transfer.created", "trf_2", 1, AT, {}).id}) == 3


def record(number: str, new: dict[str, Any] | None, old: dict[str, Any] | None = None) -> dict[str, Any]:
    images = {"NewImage": new, "OldImage": old}
    return {
        "eventID": number,
        "eventName": "MODIFY",
        "dynamodb": {"SequenceNumber": number, **{name: image for name, image in images.items() if image is not None}},
    }


def image(*items: Event) -> dict[str, Any]:
    return {"pk": {"S": "x"}, "outbox": {"S": outbox(*items)["outbox"]}}


def test_the_publisher_sends_what_a_change_brought_and_no_more() -> None:
    sent: list[Event] = []
    batch = {
        "Records": [
            record("1", image(CREATED)),
            record("2", image(CREATED), image(CREATED)),
            record("3", image(COMPLETED), image(CREATED)),
            record("4", {"pk": {"S": "x"}}),
            record("5", None, image(COMPLETED)),
        ]
    }
    assert publish_stream(batch, CONTEXT, sent.append) == {"batchItemFailures": []}
    assert sent == [CREATED, COMPLETED]


def test_a_record_that_can_not_be_sent_comes_again() -> None:
    def send(event: Event) -> None:
        if event == CREATED:
            raise RuntimeError("topic is away")

    batch = {"Records": [record("1", image(COMPLETED)), record("2", image(CREATED))]}
    assert publish_stream(batch, CONTEXT, send) == {"batchItemFailures": [{"itemIdentifier": "2"}]}


def message(number: str, body: str) -> dict[str, Any]:
    return {"messageId": number, "body": body, "eventSource": "aws:sqs", "receiptHandle": number, "attributes": {}}


@pytest.mark.parametrize("poison", ["", "{", "{}", '{"id": 1}'])
def test_only_the_messages_that_failed_come_again(poison: str) -> None:
    handled: list[Event] = []
    batch = {"Records": [message("1", json.dumps(CREATED.item())), message("2", poison)]}
    assert consume_queue(batch, CONTEXT, handled.append) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert handled == [CREATED]


def test_a_batch_that_fails_whole_comes_again_whole() -> None:
    batch = {"Records": [message("1", "{"), message("2", "{")]}
    failures = consume_queue(batch, CONTEXT, lambda _: None)["batchItemFailures"]
    assert [failure["itemIdentifier"] for failure in failures] == ["1", "2"]


def test_every_type_of_event_has_a_room() -> None:
    types = events.Type.__args__  # type: ignore[attr-defined]
    assert all(Event.new(name, "x", 1, AT, {}, SYSTEM).source for name in types)


@dataclass(frozen=True)
class Ask:
    number: int


@dataclass(frozen=True)
class Told:
    outcome: Literal["fine"]
    number: int


TASK = Task("room-double", Ask, Told)


def test_a_task_is_typed_at_both_ends() -> None:
    handler = serve(TASK, lambda ask: Told("fine", ask.number * 2))
    assert handler({"number": 21}, CONTEXT) == {"outcome": "fine", "number": 42}


@pytest.mark.parametrize("payload", [{}, {"number": "x"}, {"number": None}])
def test_a_task_given_nonsense_fails_without_saying_what_it_was(payload: dict[str, Any]) -> None:
    with pytest.raises(TaskFailed, match=r"^room-double$"):
        serve(TASK, lambda ask: Told("fine", ask.number))(payload, CONTEXT)


def test_nonsense_is_logged_without_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    logger().setLevel("ERROR")
    try:
        with pytest.raises(TaskFailed):
            serve(TASK, lambda ask: Told("fine", ask.number))({"number": "PIN 123456"}, CONTEXT)
    finally:
        logger().setLevel("CRITICAL")
    logged = capsys.readouterr()
    assert "123456" not in logged.out + logged.err


def test_a_fault_of_a_task_keeps_its_text_to_itself() -> None:
    def fail(_: Ask) -> Told:
        raise RuntimeError("PIN 123456")

    with pytest.raises(TaskFailed, match=r"^room-double$"):
        serve(TASK, fail)({"number": 1}, CONTEXT)


def test_nested_payloads_arrive_as_they_were_sent() -> None:
    seen: list[AuthorizeTransfer] = []

    def run(request: AuthorizeTransfer) -> Any:
        seen.append(request)
        return Told("fine", 1)

    request = AuthorizeTransfer("usr_1", None, Destination(email="a@b.de"), 5, "USD")
    payload = {
        "caller_id": "usr_1",
        "source_account_id": None,
        "destination": {"email": "a@b.de"},
        "amount": 5,
        "currency": "USD",
    }
    serve(AUTHORIZE_TRANSFER, run)(payload, CONTEXT)
    assert seen == [request]
