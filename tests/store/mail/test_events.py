"""The room's handlers, their batches and the adapters to SES and SQS."""

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
from functions.mail.domain import MailId
from functions.mail.events import flush, mail
from functions.mail.flushes import FlushQueue
from functions.mail.sender import SesSender
from functions.mail.service import Service
from functions.mail.store import DynamoStore
from functions.mail.templates import code_text
from functions.mail.texter import SnsTexter
from tests.support.rest import CONTEXT
from tests.support.tables import create_table
from tests.unit.mail.fakes import ADA, World, code_requested, transfer, verified


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The room over moto; only auth's tasks and the clock are the world's."""
    with moto.mock_aws():
        dynamodb, ses, sqs = boto3.client("dynamodb"), boto3.client("ses"), boto3.client("sqs")
        ses.verify_email_identity(EmailAddress=config().sender)
        queue = sqs.create_queue(QueueName="remit-mail-flush")["QueueUrl"]
        world = World()
        service = Service(
            DynamoStore(Table(dynamodb, create_table(dynamodb, "mail"))),
            SesSender(ses, config().sender),
            SnsTexter(boto3.client("sns")),
            FlushQueue(sqs, queue),
            world.find_user,
            world.mint_code,
            world.clock,
        )
        for module in (mail, flush):
            monkeypatch.setattr(module, "service", lambda: service)
        yield world


def _batch(*bodies: str) -> dict[str, Any]:
    records = [
        {"messageId": str(number), "body": body, "eventSource": "aws:sqs", "attributes": {}, "messageAttributes": {}}
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


def _mailed() -> list[Any]:
    return list(ses_backends["123456789012"]["eu-central-1"].sent_messages)


def test_a_batch_is_mailed(world: World) -> None:
    reply = mail.handler(_batch(json.dumps(code_requested().item()), json.dumps(verified().item())), CONTEXT)
    assert reply == {"batchItemFailures": []}
    assert [(each.source, each.subject) for each in _mailed()] == [
        (config().sender, "Confirm your email address"),
        (config().sender, "Welcome to Remit"),
    ]
    assert _mailed()[0].destinations["ToAddresses"] == ["new@example.com"]


def test_a_phone_is_texted(world: World) -> None:
    world.code_goes_to = "+4915112345678"
    reply = mail.handler(_batch(json.dumps(code_requested(purpose="verify_phone").item())), CONTEXT)
    assert reply == {"batchItemFailures": []}
    ((phone, text),) = sns_backends["123456789012"]["eu-central-1"].sms_messages.values()
    assert (phone, text) == ("+4915112345678", code_text("000001", 15))


def test_a_text_message_is_one_that_has_to_arrive() -> None:
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


def test_poison_costs_only_itself(world: World) -> None:
    broken = verified().item() | {"data": {}}
    good = json.dumps(verified().item())
    reply = mail.handler(_batch("no json", "{}", json.dumps(broken), good, "[]"), CONTEXT)
    assert [each["itemIdentifier"] for each in reply["batchItemFailures"]] == ["0", "1", "2", "4"]
    assert len(_mailed()) == 1


def test_a_held_mail_goes_over_the_queue(world: World) -> None:
    mail.handler(_batch(*(json.dumps(transfer(number).item()) for number in (1, 2, 3))), CONTEXT)
    assert len(_mailed()) == 2
    attributes = boto3.client("sqs").get_queue_attributes(
        QueueUrl=boto3.client("sqs").get_queue_url(QueueName="remit-mail-flush")["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert attributes["ApproximateNumberOfMessagesDelayed"] == "2"
    world.clock.advance(minutes=1)
    due = json.dumps(asdict(MailId("2026-11-21T09:31:00.000Z", "transfer_sent", ADA)))
    assert flush.handler(_batch(due), CONTEXT) == {"batchItemFailures": []}
    assert flush.handler(_batch(due), CONTEXT) == {"batchItemFailures": []}
    assert [each.subject for each in _mailed()][2:] == ["You sent 2 transfers"]


def test_a_poisoned_flush_comes_again(world: World) -> None:
    reply = flush.handler(_batch('{"cause": "x"}', '{"cause": "x", "kind": "welcome", "user_id": "usr_1"}'), CONTEXT)
    assert [each["itemIdentifier"] for each in reply["batchItemFailures"]] == ["0"]


def test_the_flush_message_is_the_merged_mail() -> None:
    class Queue:
        sent: dict[str, Any]

        def send_message(self, **request: Any) -> None:
            self.sent = request

    queue = Queue()
    FlushQueue(queue, "url").ask(MailId("end", "welcome", ADA), 42)
    assert queue.sent["QueueUrl"] == "url" and queue.sent["DelaySeconds"] == 42
    assert MailId(**json.loads(queue.sent["MessageBody"])) == MailId("end", "welcome", ADA)


def test_a_mail_has_text_and_html_in_utf_8() -> None:
    class Ses:
        sent: dict[str, Any]

        def send_email(self, **request: Any) -> None:
            self.sent = request

    from functions.mail.templates import Letter

    ses = Ses()
    SesSender(ses, "from@example.com").send("to@example.com", Letter("S", "Tëxt", "<p>Tëxt</p>"))
    assert ses.sent == {
        "Source": "from@example.com",
        "Destination": {"ToAddresses": ["to@example.com"]},
        "Message": {
            "Subject": {"Data": "S", "Charset": "UTF-8"},
            "Body": {
                "Text": {"Data": "Tëxt", "Charset": "UTF-8"},
                "Html": {"Data": "<p>Tëxt</p>", "Charset": "UTF-8"},
            },
        },
    }


def test_the_room_wires_itself() -> None:
    with moto.mock_aws():
        dynamodb = boto3.client("dynamodb")
        create_table(dynamodb, "mail")
        bootstrap.service().flush(MailId("2026-11-21T09:31:00.000Z", "welcome", ADA))
        reply = mail.handler(_batch(json.dumps(code_requested().item())), CONTEXT)
        # auth's task does not exist here: the claim is left to lapse, and the message comes again.
        assert [each["itemIdentifier"] for each in reply["batchItemFailures"]] == ["0"]
