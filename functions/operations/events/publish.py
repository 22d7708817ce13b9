"""Takes every room's events from its table's stream to the topic."""

from typing import Any

from common.events import publish_stream

from functions.operations.bootstrap import topic


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handles a batch of a stream; answers the records that have to come again."""
    return publish_stream(batch, context, topic().send)
