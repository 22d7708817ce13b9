"""The stream of each context's table: its new events are published to the topic."""

from typing import Any

from common.events import publish_stream

from functions.operations.bootstrap import topic


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish the new events of a batch of changes. Returns the failed records, which are delivered again."""
    return publish_stream(batch, context, topic().send)
