"""The queue of merge windows that have ended."""

from typing import Any

from common.events import consume_messages

from functions.mail.bootstrap import mailer
from functions.mail.domain.mails import MailId


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send the merged mails of a batch of windows. Returns the failed messages, which are delivered again."""
    return consume_messages(batch, context, lambda message: mailer().flush(MailId(**message)))
