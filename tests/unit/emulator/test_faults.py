"""Fault rules: which calls they apply to, and the errors they return."""

import json

import pytest

from emulator.faults import Call, CallLog, Rule, Rules, error_response

NAMES = ("AccountsPost", "remit-accounts-post")


@pytest.mark.parametrize("function", ["*", "AccountsPost", "remit-accounts-post", "Accounts*", "remit-*-post"])
def test_a_rule_matches_the_logical_or_physical_name_of_a_function(function: str) -> None:
    assert Rule(do="kill", function=function).matches(NAMES, "dynamodb", "PutItem")


@pytest.mark.parametrize("fields", [{"function": "Auth*"}, {"service": "sqs"}, {"operation": "GetItem"}])
def test_a_rule_does_not_match_other_calls(fields: dict[str, str]) -> None:
    assert not Rule(do="kill", **fields).matches(NAMES, "dynamodb", "PutItem")


@pytest.mark.parametrize(
    ("nth", "times", "fired"),
    [
        (1, 1, [True, False, False, False]),
        (3, 1, [False, False, True, False]),
        (2, 2, [False, True, True, False]),
        (2, 0, [False, True, True, True]),
    ],
)
def test_a_rule_fires_from_the_nth_call_the_given_number_of_times(nth: int, times: int, fired: list[bool]) -> None:
    rules = Rules()
    rules.add({"do": "kill", "nth": nth, "times": times})
    assert [rules.take(NAMES, "dynamodb", "PutItem") is not None for _ in fired] == fired
    assert rules.list()[0]["seen"] == len(fired)
    assert rules.list()[0]["fired"] == sum(fired)


def test_rules_have_ids_and_can_be_removed() -> None:
    rules = Rules()
    assert [rules.add({"do": "kill"}).id, rules.add({"do": "delay", "seconds": 1.5}).id] == [1, 2]
    rules.clear()
    assert rules.take(NAMES, "dynamodb", "PutItem") is None


@pytest.mark.parametrize(
    "data",
    [{}, {"do": "explode"}, {"do": "kill", "when": "later"}, {"do": "kill", "colour": "red"}, {"do": "kill", "id": 3}],
)
def test_an_invalid_rule_is_rejected(data: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"`do` must|`when` must|Unknown field"):
        Rule.parse(data)


def test_a_conflict_cancels_a_transaction_with_a_reason_for_each_item() -> None:
    body = json.dumps({"TransactItems": [{"Put": {}}, {"Update": {}}, {"ConditionCheck": {}}]}).encode()
    status, _, content = error_response("conflict", "dynamodb", "TransactWriteItems", body)
    answer = json.loads(content)
    assert status == 400
    assert answer["__type"].endswith("#TransactionCanceledException")
    assert [reason["Code"] for reason in answer["CancellationReasons"]] == ["TransactionConflict", "None", "None"]


def test_a_conflict_on_a_single_item_is_an_exception_of_its_own() -> None:
    _, _, content = error_response("conflict", "dynamodb", "UpdateItem", b"{}")
    assert json.loads(content)["__type"].endswith("#TransactionConflictException")


@pytest.mark.parametrize(
    ("service", "status", "code"),
    [
        ("dynamodb", 400, "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
        ("states", 400, "ThrottlingException"),
        ("lambda", 429, "TooManyRequestsException"),
    ],
)
def test_a_throttled_call_gets_the_error_of_its_service(service: str, status: int, code: str) -> None:
    found, headers, content = error_response("throttle", service, "Anything", b"{}")
    assert (found, json.loads(content)["__type"]) == (status, code)
    assert headers["x-amzn-errortype"] == code.rsplit("#", 1)[-1]


def test_services_with_the_query_protocol_return_xml() -> None:
    status, _, content = error_response("throttle", "sns", "Publish", b"")
    assert status == 400
    assert b"<Code>Throttled</Code>" in content


def test_an_error_is_an_internal_error_of_the_service() -> None:
    status, _, content = error_response("error", "dynamodb", "GetItem", b"{}")
    assert (status, json.loads(content)["__type"]) == (500, "com.amazonaws.dynamodb.v20120810#InternalServerError")


def test_the_call_log_returns_the_calls_after_a_sequence_number() -> None:
    calls = CallLog()
    call = Call("dynamodb", "PutItem", (("dynamodb:PutItem", "arn:table/a"),))
    for _ in range(2):
        calls.add(call, at="now", function="A", function_name="remit-a", status=200, fault=None)
    assert [each["seq"] for each in calls.since(0)] == [1, 2]
    assert [each["seq"] for each in calls.since(1)] == [2]
    assert calls.since(1)[0]["resources"] == ["arn:table/a"]
    assert 0 <= calls.idle_seconds() < 60
    calls.clear()
    assert calls.since(0) == []
