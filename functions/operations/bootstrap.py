"""The wiring of the context, done once a process."""

from functools import cache
from typing import TYPE_CHECKING

from common.aws import client
from common.config import config

if TYPE_CHECKING:
    from functions.operations.adapters.topic import Topic
    from functions.operations.service import Health


@cache
def health() -> "Health":
    """Return the health of the platform, as DynamoDB and SQS report it."""
    from common import clock

    from functions.operations.adapters.probes import AwsProbes
    from functions.operations.service import Health

    return Health(AwsProbes(client("dynamodb"), client("sqs"), config()), clock.now)


@cache
def topic() -> "Topic":
    """Return the topic that events are published to."""
    from functions.operations.adapters.topic import Topic

    return Topic(client("sns"), config().events_topic)
