"""The room, wired once a process."""

from functools import cache

from common import clock
from common.aws import client
from common.config import config

from functions.operations.probes import AwsProbes
from functions.operations.service import Service
from functions.operations.topic import Topic


@cache
def service() -> Service:
    """The room's use cases over AWS as it is."""
    return Service(AwsProbes(client("dynamodb"), client("sqs"), config()), clock.now)


@cache
def topic() -> Topic:
    """Where events are published."""
    return Topic(client("sns"), config().events_topic)
