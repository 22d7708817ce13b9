"""The adapter to SNS, which sends text messages."""

from typing import Any


class SnsTexter:
    """Sends text messages through SNS, as those that have to arrive and may cost more."""

    def __init__(self, sns: Any) -> None:
        self._sns = sns

    def send(self, phone: str, text: str) -> None:
        """Sends one text message. Raises ClientError or BotoCoreError where that is not known to have worked."""
        kind = {"DataType": "String", "StringValue": "Transactional"}
        self._sns.publish(PhoneNumber=phone, Message=text, MessageAttributes={"AWS.SNS.SMS.SMSType": kind})
