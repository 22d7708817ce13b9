"""The room, wired once a process."""

from functools import cache, partial

from common import clock
from common.aws import client
from common.config import config
from common.dynamo import Table
from common.tasks import FIND_USER, MINT_CODE, call

from functions.mail.flushes import FlushQueue
from functions.mail.sender import SesSender
from functions.mail.service import Service
from functions.mail.store import DynamoStore
from functions.mail.texter import SnsTexter


@cache
def service() -> Service:
    """The room's use cases over its table, SES, SNS, its queue and auth's tasks."""
    settings = config()
    return Service(
        DynamoStore(Table(client("dynamodb"), settings.table("mail"))),
        SesSender(client("ses", attempts=1), settings.sender),
        SnsTexter(client("sns", attempts=1)),
        FlushQueue(client("sqs"), settings.mail_flush_queue),
        partial(call, FIND_USER),
        partial(call, MINT_CODE),
        clock.now,
    )
