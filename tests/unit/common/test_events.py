"""Events, from the outbox to the consumer."""

import json
from typing import Any, get_args

import pytest
from common.contracts.events import SYSTEM, Actor, Event, EventType
from common.events import consume_queue, outbox, publish_stream

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


def test_a_record_that_could_not_be_sent_is_delivered_again() -> None:
    def send(event: Event) -> None:
        if event == CREATED:
            raise RuntimeError("topic is unavailable")

    batch = {"Records": [record("1", image(COMPLETED)), record("2", image(CREATED))]}
    assert publish_stream(batch, CONTEXT, send) == {"batchItemFailures": [{"itemIdentifier": "2"}]}


def message(number: str, body: str) -> dict[str, Any]:
    return {"messageId": number, "body": body, "eventSource": "aws:sqs", "receiptHandle": number, "attributes": {}}


@pytest.mark.parametrize("poison", ["", "{", "{}", '{"id": 1}'])
def test_only_failed_messages_are_delivered_again(poison: str) -> None:
    handled: list[Event] = []
    batch = {"Records": [message("1", json.dumps(CREATED.item())), message("2", poison)]}
    assert consume_queue(batch, CONTEXT, handled.append) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    assert handled == [CREATED]


def test_a_batch_that_fails_as_a_whole_is_delivered_again_as_a_whole() -> None:
    batch = {"Records": [message("1", "{"), message("2", "{")]}
    failures = consume_queue(batch, CONTEXT, lambda _: None)["batchItemFailures"]
    assert [failure["itemIdentifier"] for failure in failures] == ["1", "2"]


def test_every_type_of_event_has_a_context() -> None:
    types = get_args(EventType)
    assert types
    assert all(Event.new(name, "x", 1, AT, {}, SYSTEM).source for name in types)
