"""Takes due minutes from their queue and mails what they held."""

from typing import Any

from common.events import consume_messages

from functions.mail.bootstrap import service
from functions.mail.domain import MailId


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handles a batch of the queue; answers the messages that have to come again."""
    return consume_messages(batch, context, lambda message: service().flush(MailId(**message)))
