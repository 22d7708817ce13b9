"""The adapter to the topic that carries every room's events."""

import json
from typing import Any

from common.events import Event


class Topic:
    """The SNS topic of events. The type goes along as an attribute, by which subscriptions filter."""

    def __init__(self, sns: Any, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def send(self, event: Event) -> None:
        """Publishes one event."""
        self._sns.publish(
            TopicArn=self._arn,
            Message=json.dumps(event.item(), separators=(",", ":")),
            MessageAttributes={"type": {"DataType": "String", "StringValue": event.type}},
        )
