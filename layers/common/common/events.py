"""Events: CloudEvents 1.0, written with the state that changed (outbox), published from the table's stream, and heard
at least once by consumers that drop what they have seen.

A store puts `outbox(event, ...)` on the item that changes. The publisher takes it from the stream to the topic.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from logging import Logger
from typing import Any, Literal, cast

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from common import clock, ids
from common.observability import logger

OUTBOX = "outbox"

Type = Literal[
    "user.registered",
    "user.verified",
    "user.login",
    "user.login_failed",
    "user.updated",
    "user.password_changed",
    "user.suspended",
    "user.deleted",
    "code.requested",
    "account.opened",
    "account.updated",
    "account.frozen",
    "account.closed",
    "pin.failed",
    "pin.locked",
    "limit.exceeded",
    "balance.low",
    "ledger.drifted",
    "transfer.created",
    "transfer.completed",
    "transfer.declined",
    "transfer.failed",
]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who caused an event, and from where; `user_id` is None for the platform itself and for strangers."""

    user_id: str | None = None
    session_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None


SYSTEM = Actor()


@dataclass(frozen=True, slots=True)
class Event:
    """A CloudEvents 1.0 envelope. `sequence` ascends per subject; the id follows from subject, sequence and type.

    `data` never holds a code, PIN, token, password or card number.
    """

    id: str
    source: str
    type: Type
    subject: str
    sequence: int
    time: str
    actor: Actor
    data: Mapping[str, Any]

    @classmethod
    def new(
        cls, type: Type, subject: str, sequence: int, at: datetime, data: Mapping[str, Any], actor: Actor = SYSTEM
    ) -> "Event":
        """The event that `subject` went through `type` as its change number `sequence`."""
        room = _ROOMS[type.split(".")[0]]
        # The id keeps to subject, sequence and type alone: a retried change must give the very same event.
        event_id = ids.derived_id("evt", _EPOCH, subject, str(sequence), type)
        return cls(event_id, f"/remit/{room}", type, subject, sequence, clock.timestamp(at), actor, data)

    def item(self) -> dict[str, Any]:
        """The event as it stands in an outbox and on the wire."""
        return {"specversion": "1.0", **asdict(self), "data": dict(self.data)}

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Event":
        """The event that `item` made."""
        fields = {name: value for name, value in item.items() if name != "specversion"}
        return cls(**{**fields, "actor": Actor(**item["actor"])})


_EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
_ROOMS = {
    "user": "auth",
    "code": "auth",
    "account": "accounts",
    "pin": "accounts",
    "limit": "accounts",
    "balance": "accounts",
    "ledger": "accounts",
    "transfer": "transfers",
}


def outbox(*events: Event) -> dict[str, str]:
    """The attribute that carries events beside the change they tell of."""
    return {OUTBOX: json.dumps([event.item() for event in events], separators=(",", ":"))}


def publish_stream(batch: dict[str, Any], context: Any, send: Callable[[Event], None]) -> dict[str, Any]:
    """Sends the events that each record of a table's stream brought; answers which records have to come again.

    A record whose outbox is what it was before brings nothing: other attributes changed.
    """

    def process(record: DynamoDBRecord) -> None:
        change = record.raw_event["dynamodb"]
        seen = {item["id"] for item in _outbox_of(change.get("OldImage"))}
        for item in _outbox_of(change.get("NewImage")):
            if item["id"] not in seen:
                send(Event.of(item))

    return _in_parts(EventType.DynamoDBStreams, batch, context, process)


def _outbox_of(image: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    text = (image or {}).get(OUTBOX, {}).get("S", "[]")
    items: list[dict[str, Any]] = json.loads(text)
    return items


def consume_queue(batch: dict[str, Any], context: Any, handle: Callable[[Event], None]) -> dict[str, Any]:
    """Hands each event of a queue's batch to `handle`; see `consume_messages`."""
    return consume_messages(batch, context, lambda message: handle(Event.of(message)))


def consume_messages(batch: dict[str, Any], context: Any, handle: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Hands each JSON message of a queue's batch to `handle`, which has to be harmless when it sees one again.

    Answers the messages that failed, so that only they come again (and reach the dead-letter queue in the end).
    """

    def process(record: SQSRecord) -> None:
        handle(json.loads(record.body))

    return _in_parts(EventType.SQS, batch, context, process)


def _in_parts(kind: EventType, batch: dict[str, Any], context: Any, process: Callable[[Any], None]) -> dict[str, Any]:
    processor = BatchProcessor(event_type=kind, raise_on_entire_batch_failure=False, logger=cast(Logger, logger()))
    reply = process_partial_response(batch, process, processor, context)
    logger().info("batch", extra={"records": len(batch["Records"]), "failed": len(reply["batchItemFailures"])})
    return dict(reply)
