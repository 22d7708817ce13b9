"""What health looks at on AWS: tables and dead-letter queues."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from common.config import Config
from common.observability import logger

# A table that is being changed, for example while an index is added, is available.
_AVAILABLE = ("ACTIVE", "UPDATING")


class AwsProbes:
    """Probes of DynamoDB and SQS. A failed call is logged and counts as unknown."""

    def __init__(self, dynamodb: Any, sqs: Any, config: Config) -> None:
        self._dynamodb = dynamodb
        self._sqs = sqs
        self._config = config
        self._urls: dict[str, str] = {}

    def table_available(self, context: str) -> bool:
        """Return whether DynamoDB reports the table as available."""
        try:
            reply = self._dynamodb.describe_table(TableName=self._config.table(context))
        except (ClientError, BotoCoreError):
            logger().exception("table probe failed", extra={"context": context})
            return False
        return reply["Table"]["TableStatus"] in _AVAILABLE

    def message_count(self, queue: str) -> int | None:
        """Return the approximate count that SQS reports for the queue."""
        try:
            if queue not in self._urls:
                self._urls[queue] = self._sqs.get_queue_url(QueueName=f"{self._config.stack}-{queue}")["QueueUrl"]
            reply = self._sqs.get_queue_attributes(
                QueueUrl=self._urls[queue], AttributeNames=["ApproximateNumberOfMessages"]
            )
        except (ClientError, BotoCoreError):
            logger().exception("queue probe failed", extra={"queue": queue})
            return None
        return int(reply["Attributes"]["ApproximateNumberOfMessages"])
