"""The wiring of the context, done once a process."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functions.mail.service import Mailer


@cache
def mailer() -> "Mailer":
    """Return the mailer over the context's table and queue, SES, SNS and the tasks of auth."""
    from functools import partial

    from common import clock
    from common.aws import client
    from common.config import config
    from common.contracts.auth import FIND_USER, MINT_CODE
    from common.dynamo import Table
    from common.tasks import call

    from functions.mail.adapters.flushes import FlushQueue
    from functions.mail.adapters.sender import SesSender
    from functions.mail.adapters.texter import SnsTexter
    from functions.mail.service import Mailer
    from functions.mail.store import MailStore

    # SES and SNS get one attempt: after a lost reply the SDK would send the message again.
    return Mailer(
        MailStore(Table(client("dynamodb"), config().table("mail"))),
        SesSender(client("ses", attempts=1), config().sender, f"{config().stack}-mail"),
        SnsTexter(client("sns", attempts=1)),
        FlushQueue(client("sqs"), config().mail_flush_queue),
        partial(call, FIND_USER),
        partial(call, MINT_CODE),
        clock.now,
    )
