"""The handlers with their batches, and the adapters to SES, SNS and SQS."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import boto3
import moto
import pytest
from common.config import config
from common.dynamo import Table
from moto.ses.models import ses_backends
from moto.sns.models import sns_backends

from functions.mail import bootstrap
from functions.mail.adapters.flushes import FlushQueue
from functions.mail.adapters.sender import SesSender
from functions.mail.adapters.texter import SnsTexter
from functions.mail.domain.mails import MailId
from functions.mail.domain.texts import Mail, code_text_message
from functions.mail.events import flush, mail
from functions.mail.service import Mailer
from functions.mail.store import MailStore
from tests.support.rest import CONTEXT
from tests.support.tables import create_table
from tests.unit.mail.world import ADA, World, code_requested, transfer, verified


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The context over moto. Only the tasks of auth and the clock are fakes."""
    with moto.mock_aws():
        dynamodb, ses, sqs = boto3.client("dynamodb"), boto3.client("ses"), boto3.client("sqs")
        ses.verify_email_identity(EmailAddress=config().sender)
        ses.create_configuration_set(ConfigurationSet={"Name": "remit-mail"})
        queue = sqs.create_queue(QueueName="remit-mail-flush")["QueueUrl"]
        world = World()
        mailer = Mailer(
            MailStore(Table(dynamodb, create_table(dynamodb, "mail"))),
            SesSender(ses, config().sender, "remit-mail"),
            SnsTexter(boto3.client("sns")),
            FlushQueue(sqs, queue),
            world.find_user,
            world.mint_code,
            world.clock,
        )
        for module in (mail, flush):
            monkeypatch.setattr(module, "mailer", lambda: mailer)
        yield world


def _batch(*bodies: str) -> dict[str, Any]:
    records = [
        {"messageId": str(number), "body": body, "eventSource": "aws:sqs", "attributes": {}, "messageAttributes": {}}
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def _sent() -> list[Any]:
    return list(ses_backends["123456789012"]["eu-central-1"].sent_messages)


def test_a_batch_is_mailed(world: World) -> None:
    reply = mail.handler(_batch(json.dumps(code_requested().item()), json.dumps(verified().item())), CONTEXT)
    assert reply == {"batchItemFailures": []}
    assert [(each.source, each.subject) for each in _sent()] == [
        (config().sender, "Confirm your email address"),
        (config().sender, "Welcome to Remit"),
    ]
    assert _sent()[0].destinations["ToAddresses"] == ["new@example.com"]


def test_a_code_is_sent_to_a_phone(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    reply = mail.handler(_batch(json.dumps(code_requested(purpose="verify_phone").item())), CONTEXT)
    assert reply == {"batchItemFailures": []}
    ((phone, text),) = sns_backends["123456789012"]["eu-central-1"].sms_messages.values()
    assert (phone, text) == ("+4915112345678", code_text_message("000001", 15))


def test_a_text_message_is_transactional() -> None:
    class Sns:
        sent: dict[str, Any]

        def publish(self, **request: Any) -> None:
            self.sent = request

    sns = Sns()
    SnsTexter(sns).send("+4915112345678", "text")
    assert sns.sent == {
        "PhoneNumber": "+4915112345678",
        "Message": "text",
        "MessageAttributes": {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}},
    }


def test_a_malformed_message_fails_alone(world: World) -> None:
    broken = verified().item() | {"data": {}}
    good = json.dumps(verified().item())
    reply = mail.handler(_batch("no json", "{}", json.dumps(broken), good, "[]"), CONTEXT)
    assert [each["itemIdentifier"] for each in reply["batchItemFailures"]] == ["0", "1", "2", "4"]
    assert len(_sent()) == 1


def test_a_merged_mail_is_sent_by_the_queue_of_flushes(world: World) -> None:
    mail.handler(_batch(*(json.dumps(transfer(number).item()) for number in (1, 2, 3))), CONTEXT)
    assert len(_sent()) == 2
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=boto3.client("sqs").get_queue_url(QueueName="remit-mail-flush")["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "2"
    world.clock.advance(minutes=1)
    due = json.dumps(asdict(MailId("2026-11-21T09:31:00.000Z", "transfer_sent", ADA)))
    assert flush.handler(_batch(due), CONTEXT) == {"batchItemFailures": []}
    assert flush.handler(_batch(due), CONTEXT) == {"batchItemFailures": []}
    assert [each.subject for each in _sent()][2:] == ["You sent 2 transfers"]


def test_a_malformed_flush_is_delivered_again(world: World) -> None:
    reply = flush.handler(_batch('{"cause": "x"}', '{"cause": "x", "kind": "welcome", "user_id": "usr_1"}'), CONTEXT)
    assert [each["itemIdentifier"] for each in reply["batchItemFailures"]] == ["0"]


def test_the_flush_message_is_the_merged_mail() -> None:
    class Queue:
        sent: dict[str, Any]

        def send_message(self, **request: Any) -> None:
            self.sent = request

    queue = Queue()
    FlushQueue(queue, "url").schedule(MailId("end", "welcome", ADA), 42)
    assert queue.sent["QueueUrl"] == "url" and queue.sent["DelaySeconds"] == 42
    assert MailId(**json.loads(queue.sent["MessageBody"])) == MailId("end", "welcome", ADA)


def test_a_mail_has_text_and_html_in_utf_8() -> None:
    class Ses:
        sent: dict[str, Any]

        def send_email(self, **request: Any) -> None:
            self.sent = request

    ses = Ses()
    SesSender(ses, "from@example.com", "remit-mail").send("to@example.com", Mail("S", "Tëxt", "<p>Tëxt</p>"))
    assert ses.sent == {
        "Source": "from@example.com",
        "ConfigurationSetName": "remit-mail",
        "Destination": {"ToAddresses": ["to@example.com"]},
        "Message": {
            "Subject": {"Data": "S", "Charset": "UTF-8"},
            "Body": {
                "Text": {"Data": "Tëxt", "Charset": "UTF-8"},
                "Html": {"Data": "<p>Tëxt</p>", "Charset": "UTF-8"},
            },
        },
    }


def test_the_context_is_wired() -> None:
    with moto.mock_aws():
        dynamodb = boto3.client("dynamodb")
        create_table(dynamodb, "mail")
        bootstrap.mailer().flush(MailId("2026-11-21T09:31:00.000Z", "welcome", ADA))
        reply = mail.handler(_batch(json.dumps(code_requested().item())), CONTEXT)
        # The task of auth does not exist here: the message fails and is delivered again.
        assert [each["itemIdentifier"] for each in reply["batchItemFailures"]] == ["0"]
