"""The adapter to the queue that brings a window's flush when its minute ends."""

import json
from dataclasses import asdict
from typing import Any

from functions.mail.domain import MailId


class FlushQueue:
    """An SQS queue of merged mails that are due, each delayed until then."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def ask(self, merged: MailId, delay: int) -> None:
        """Asks for a flush in `delay` seconds."""
        self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps(asdict(merged)), DelaySeconds=delay)
