"""Events go from a table's stream to the topic and on to a queue."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import moto
import pytest
from common.contracts.events import Event
from common.events import outbox

from functions.operations.adapters.topic import Topic
from functions.operations.events import publish
from tests.support.rest import CONTEXT

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
COMPLETED = Event.new("transfer.completed", "trf_1", 2, AT, {"amount": 1050})
VERIFIED = Event.new("user.verified", "usr_1", 2, AT, {"user_id": "usr_1"})


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A queue that is subscribed to `transfer.completed` alone, with a filter as in the template."""
    with moto.mock_aws():
        sns, sqs = boto3.client("sns"), boto3.client("sqs")
        topic = sns.create_topic(Name="remit-events")["TopicArn"]
        url: str = sqs.create_queue(QueueName="consumer")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes = {"RawMessageDelivery": "true", "FilterPolicy": json.dumps({"type": ["transfer.completed"]})}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        monkeypatch.setattr(publish, "topic", lambda: Topic(sns, topic))
        yield url


def record(number: int, new: str | None, old: str | None = None) -> dict[str, Any]:
    images = {"NewImage": new, "OldImage": old}
    change = {name: {"outbox": {"S": text}} for name, text in images.items() if text is not None}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": str(number), **change}}


def received(queue: str) -> list[dict[str, Any]]:
    reply = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in reply.get("Messages", ())]


def test_new_events_reach_the_queues_subscribed_to_their_type(queue: str) -> None:
    both = outbox(COMPLETED, VERIFIED)["outbox"]
    assert publish.handler({"Records": [record(1, both)]}, CONTEXT) == {"batchItemFailures": []}
    assert received(queue) == [COMPLETED.item()]
    assert Event.of(COMPLETED.item()) == COMPLETED


def test_an_unchanged_outbox_is_not_published_again(queue: str) -> None:
    text = outbox(COMPLETED)["outbox"]
    publish.handler({"Records": [record(1, text, text), record(2, None)]}, CONTEXT)
    assert received(queue) == []


def test_a_malformed_record_fails_alone(queue: str) -> None:
    good = outbox(COMPLETED)["outbox"]
    reply = publish.handler({"Records": [record(1, "no json"), record(2, good)]}, CONTEXT)
    assert reply == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert received(queue) == [COMPLETED.item()]


def test_the_topic_comes_from_the_environment() -> None:
    with moto.mock_aws():
        boto3.client("sns").create_topic(Name="remit-events")
        reply = publish.handler({"Records": [record(1, outbox(COMPLETED)["outbox"])]}, CONTEXT)
        assert reply == {"batchItemFailures": []}
