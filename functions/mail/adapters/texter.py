"""Text messages through SNS."""

from typing import Any


class SnsTexter:
    """Sends text messages as transactional ones, which SNS optimizes for delivery and not for cost."""

    def __init__(self, sns: Any) -> None:
        self._sns = sns

    def send(self, phone: str, text: str) -> None:
        """Publish a text message. Raises ClientError or BotoCoreError unless SNS accepted it."""
        kind = {"DataType": "String", "StringValue": "Transactional"}
        self._sns.publish(PhoneNumber=phone, Message=text, MessageAttributes={"AWS.SNS.SMS.SMSType": kind})
