"""The queue of events that ask for mails."""

from typing import Any

from common.events import consume_queue

from functions.mail.bootstrap import mailer


def handler(batch: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send the mails of a batch of events. Returns the failed messages, which are delivered again."""
    return consume_queue(batch, context, lambda event: mailer().handle(event))
