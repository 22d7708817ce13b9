"""The adapter to SES."""

from typing import Any

from functions.mail.templates import Letter


class SesSender:
    """Sends mail through SES, from one verified address."""

    def __init__(self, ses: Any, source: str) -> None:
        self._ses = ses
        self._source = source

    def send(self, address: str, letter: Letter) -> None:
        """Sends one mail. Raises ClientError or BotoCoreError where that is not known to have worked."""
        self._ses.send_email(
            Source=self._source,
            Destination={"ToAddresses": [address]},
            Message={
                "Subject": _content(letter.subject),
                "Body": {"Text": _content(letter.text), "Html": _content(letter.html)},
            },
        )


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}
