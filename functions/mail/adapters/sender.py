"""Mails through SES."""

from typing import Any

from functions.mail.domain.texts import Mail


class SesSender:
    """Sends mails from one verified address. The configuration set reports bounces and complaints."""

    def __init__(self, ses: Any, source: str, configuration_set: str) -> None:
        self._ses = ses
        self._source = source
        self._configuration_set = configuration_set

    def send(self, address: str, mail: Mail) -> None:
        """Send a mail as text and HTML. Raises ClientError or BotoCoreError unless SES accepted it."""
        self._ses.send_email(
            Source=self._source,
            ConfigurationSetName=self._configuration_set,
            Destination={"ToAddresses": [address]},
            Message={
                "Subject": _content(mail.subject),
                "Body": {"Text": _content(mail.text), "Html": _content(mail.html)},
            },
        )


def _content(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}
