"""Publishing and consuming events (`common.contracts.events`).

A store puts `outbox(event, ...)` on the item that changes; the publisher takes it from the table's stream to the
topic. Consumers get each event at least once and have to be idempotent.
"""

import json
from collections.abc import Callable, Mapping
from logging import Logger
from typing import Any, Literal, cast

from common.contracts.events import Event
from common.observability import logger

OUTBOX = "outbox"
"""The attribute that carries events beside the change that they report."""


def outbox(*events: Event) -> dict[str, str]:
    """Return the outbox attribute that carries `events`."""
    return {OUTBOX: json.dumps([event.item() for event in events], separators=(",", ":"))}


def publish_stream(batch: dict[str, Any], context: Any, send: Callable[[Event], None]) -> dict[str, Any]:
    """Send the new events of each record of a table's stream. Returns the failed records, which are delivered again.

    A record whose outbox has not changed brings nothing: the change was to other attributes.
    """

    def process(record: Any) -> None:
        change = record.raw_event["dynamodb"]
        known = {item["id"] for item in _outbox_of(change.get("OldImage"))}
        for item in _outbox_of(change.get("NewImage")):
            if item["id"] not in known:
                send(Event.of(item))

    return _process("DynamoDBStreams", batch, context, process)


def consume_queue(batch: dict[str, Any], context: Any, handle: Callable[[Event], None]) -> dict[str, Any]:
    """Pass each event of a queue's batch to `handle`; otherwise as `consume_messages`."""
    return consume_messages(batch, context, lambda message: handle(Event.of(message)))


def consume_messages(batch: dict[str, Any], context: Any, handle: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Pass each JSON message of a queue's batch to `handle`, which has to be idempotent.

    Returns the failed messages: only those are delivered again, and end in the dead-letter queue.
    """
    return _process("SQS", batch, context, lambda record: handle(json.loads(record.body)))


def _outbox_of(image: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    text = (image or {}).get(OUTBOX, {}).get("S", "[]")
    items: list[dict[str, Any]] = json.loads(text)
    return items


def _process(
    source: Literal["DynamoDBStreams", "SQS"], batch: dict[str, Any], context: Any, process: Callable[[Any], None]
) -> dict[str, Any]:
    # Stores import this module for `outbox`; only consumers and the publisher pay for loading the batch utility.
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    processor = BatchProcessor(
        event_type=EventType[source], raise_on_entire_batch_failure=False, logger=cast(Logger, logger())
    )
    reply = process_partial_response(batch, process, processor, context)
    logger().info(
        "batch processed", extra={"records": len(batch["Records"]), "failed": len(reply["batchItemFailures"])}
    )
    return dict(reply)
