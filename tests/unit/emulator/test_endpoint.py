"""What IAM would check for an AWS request."""

import json
from typing import Any

import pytest

from emulator.endpoint import identify
from emulator.patches import delivered

SES_V2 = "/v2/email/outbound-emails"
ARN = "arn:aws:dynamodb:eu-central-1:000000000000:table"


def request(
    headers: dict[str, str], body: Any, *, method: str = "POST", path: str = "/"
) -> tuple[dict[str, Any], bytes]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return {"method": method, "path": path, "query_string": b"", "headers": pairs}, content


def dynamodb(operation: str, body: Any) -> list[tuple[str, str]]:
    call = identify(*request({"x-amz-target": f"DynamoDB_20120810.{operation}"}, body))
    assert (call.service, call.operation) == ("dynamodb", operation)
    return list(call.iam)


def test_a_transaction_is_authorized_item_by_item() -> None:
    items = [
        {"Put": {"TableName": "a"}},
        {"Update": {"TableName": "a"}},
        {"Delete": {"TableName": "b"}},
        {"ConditionCheck": {"TableName": "b"}},
        {"Put": {"TableName": "a"}},
    ]
    assert dynamodb("TransactWriteItems", {"TransactItems": items}) == [
        ("dynamodb:PutItem", f"{ARN}/a"),
        ("dynamodb:UpdateItem", f"{ARN}/a"),
        ("dynamodb:DeleteItem", f"{ARN}/b"),
        ("dynamodb:ConditionCheckItem", f"{ARN}/b"),
    ]


def test_a_query_of_an_index_is_authorized_on_the_index() -> None:
    assert dynamodb("Query", {"TableName": "a", "IndexName": "due"}) == [("dynamodb:Query", f"{ARN}/a/index/due")]


def test_a_batch_is_authorized_on_each_table() -> None:
    assert dynamodb("BatchGetItem", {"RequestItems": {"a": {}, "b": {}}}) == [
        ("dynamodb:BatchGetItem", f"{ARN}/a"),
        ("dynamodb:BatchGetItem", f"{ARN}/b"),
    ]


def test_an_invocation_has_its_sdk_name_and_its_iam_action() -> None:
    scope = request({"authorization": credential("lambda")}, {}, path="/2015-03-31/functions/remit-a/invocations")
    call = identify(*scope)
    assert (call.service, call.operation) == ("lambda", "Invoke")
    assert call.iam == (("lambda:InvokeFunction", "arn:aws:lambda:eu-central-1:000000000000:function:remit-a"),)


def test_a_batch_of_messages_is_authorized_as_one_message() -> None:
    url = "http://127.0.0.1:3001/000000000000/q"
    call = identify(*request({"x-amz-target": "AmazonSQS.SendMessageBatch"}, {"QueueUrl": url, "Entries": []}))
    assert call.operation == "SendMessageBatch"
    assert call.iam == (("sqs:SendMessage", "arn:aws:sqs:eu-central-1:000000000000:q"),)


def test_a_query_protocol_call_has_its_action_in_the_body() -> None:
    headers = {"authorization": credential("sns"), "content-type": "application/x-www-form-urlencoded"}
    topic = "arn:aws:sns:eu-central-1:000000000000:remit-events"
    call = identify(*request(headers, f"Action=Publish&TopicArn={topic}&Message=x"))
    assert (call.operation, call.iam) == ("Publish", (("sns:Publish", topic),))


def test_a_mail_is_authorized_on_the_sender_identity() -> None:
    sender = "arn:aws:ses:eu-central-1:000000000000:identity/mail@remit.example"
    v2 = request({"authorization": credential("ses")}, {"FromEmailAddress": "Remit <mail@remit.example>"}, path=SES_V2)
    v1_headers = {"authorization": credential("ses"), "content-type": "application/x-www-form-urlencoded"}
    v1 = request(v1_headers, "Action=SendEmail&Source=mail%40remit.example")
    assert identify(*v2).iam == identify(*v1).iam == (("ses:SendEmail", sender),)


def test_a_mail_with_a_configuration_set_is_authorized_on_it_too() -> None:
    headers = {"authorization": credential("ses"), "content-type": "application/x-www-form-urlencoded"}
    sent = "Action=SendEmail&Source=mail%40remit.example&ConfigurationSetName=remit-mail"
    checked = {resource.rpartition(":")[2] for _, resource in identify(*request(headers, sent)).iam}
    assert checked == {"identity/mail@remit.example", "configuration-set/remit-mail"}


@pytest.mark.parametrize(("method", "operation"), [("POST", "PostToConnection"), ("DELETE", "DeleteConnection")])
def test_a_push_to_a_websocket_is_authorized_as_managing_connections(method: str, operation: str) -> None:
    call = identify(*request({}, "", method=method, path="/_aws/execute-api/abc/live/@connections/1"))
    assert (call.service, call.operation) == ("execute-api", operation)
    assert call.iam[0][0] == "execute-api:ManageConnections"


def credential(service: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential=test/20261121/eu-central-1/{service}/aws4_request, Signature=0"


@pytest.mark.parametrize(("failed", "done"), [([], 3), (["2"], 1), (["3", "1"], 0), (["9"], 3)])
def test_a_stream_continues_from_the_first_failed_record(failed: list[str], done: int) -> None:
    records = [{"dynamodb": {"SequenceNumber": number}} for number in "123"]
    assert delivered(records, {"body": {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}}) == done
    assert delivered(records, {"body": None}) == 3
