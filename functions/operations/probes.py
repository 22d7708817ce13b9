"""The adapter to what health looks at: tables and dead-letter queues."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from common.config import Config
from common.observability import logger

# A table that is being changed, say gets an index, serves as ever.
_SERVING = ("ACTIVE", "UPDATING")


class AwsProbes:
    """Looks at DynamoDB and SQS; a refusal or silence is logged and answered as unknown."""

    def __init__(self, dynamodb: Any, sqs: Any, config: Config) -> None:
        self._dynamodb = dynamodb
        self._sqs = sqs
        self._config = config
        self._urls: dict[str, str] = {}

    def serves(self, room: str) -> bool:
        """Whether a room's table takes reads and writes; False where that could not be learned."""
        try:
            reply = self._dynamodb.describe_table(TableName=self._config.table(room))
        except (ClientError, BotoCoreError):
            logger().exception("table not seen", extra={"room": room})
            return False
        return reply["Table"]["TableStatus"] in _SERVING

    def waiting(self, queue: str) -> int | None:
        """About how many messages wait in a queue; None where that could not be learned."""
        try:
            if queue not in self._urls:
                self._urls[queue] = self._sqs.get_queue_url(QueueName=f"{self._config.stack}-{queue}")["QueueUrl"]
            reply = self._sqs.get_queue_attributes(
                QueueUrl=self._urls[queue], AttributeNames=["ApproximateNumberOfMessages"]
            )
        except (ClientError, BotoCoreError):
            logger().exception("queue not seen", extra={"queue": queue})
            return None
        return int(reply["Attributes"]["ApproximateNumberOfMessages"])
