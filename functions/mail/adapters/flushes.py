"""The SQS queue of merge windows that end."""

import json
from dataclasses import asdict
from typing import Any

from functions.mail.domain.mails import MailId


class FlushQueue:
    """A queue of merged mails. SQS delays each message until the mail is due."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def schedule(self, merged: MailId, delay_seconds: int) -> None:
        """Send the message of a flush, delayed."""
        self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps(asdict(merged)), DelaySeconds=delay_seconds)
