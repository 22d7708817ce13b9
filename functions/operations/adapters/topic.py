"""The SNS topic of events."""

import json
from typing import Any

from common.contracts.events import Event


class Topic:
    """The topic that carries the events of all contexts."""

    def __init__(self, sns: Any, arn: str) -> None:
        self._sns = sns
        self._arn = arn

    def send(self, event: Event) -> None:
        """Publish an event. Its type is sent as an attribute too, because subscriptions filter by it."""
        self._sns.publish(
            TopicArn=self._arn,
            Message=json.dumps(event.item(), separators=(",", ":")),
            MessageAttributes={"type": {"DataType": "String", "StringValue": event.type}},
        )
