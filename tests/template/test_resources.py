"""What every resource of template.yaml has to have, whatever room it belongs to."""

import ast
import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from tests.support.tables import ROOT, template

LIMIT, EXPECTED_RESOURCES = 480, 240
ROOMS = {"auth", "accounts", "transfers", "notifications", "mail", "operations"}
# Statements that AWS does not let be narrower, and why.
WILDCARDS = {
    # The key's own policy: the resource of a key policy is always the key it is attached to.
    "TokenKey": "kms:*",
    "DataKey": "kms:*",
    # A text message is published to a phone number, which is no resource.
    "MailMail": "sns:Publish",
    # Log delivery is set up by these calls, none of which supports resource-level permissions.
    "TransferSaga": "LogDelivery",
    "DepositSaga": "LogDelivery",
}


def resources(kind: str) -> dict[str, dict[str, Any]]:
    return {name: each["Properties"] for name, each in template()["Resources"].items() if each["Type"] == kind}


FUNCTIONS = resources("AWS::Serverless::Function")
TABLES = resources("AWS::DynamoDB::Table")
QUEUES = resources("AWS::SQS::Queue")


def events(kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, event["Properties"])
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == kind
    ]


class NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def expanded() -> dict[str, Any]:
    """The resources that CloudFormation gets: what SAM makes of the template."""
    copied = copy.deepcopy(template())
    for each in copied["Resources"].values():
        for local in each["Properties"].keys() & {"CodeUri", "ContentUri", "DefinitionUri"}:
            each["Properties"][local] = "s3://bucket/key"
    made: dict[str, Any] = transform(copied, {}, NoManagedPolicies())["Resources"]
    return made


def test_the_stack_stays_clear_of_cloudformations_limit() -> None:
    kinds = Counter(each["Type"] for each in expanded().values())
    assert kinds.total() < LIMIT, kinds
    # A change of this number is worth a look: is a new function, role and permission what was meant?
    assert kinds.total() == EXPECTED_RESOURCES, kinds


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, each in template()["Resources"].items():
        properties = each["Properties"]
        for policy in properties.get("Policies", []):
            found += [(name, statement) for statement in policy["Statement"]]
        for document in ("KeyPolicy", "PolicyDocument"):
            found += [(name, statement) for statement in properties.get(document, {}).get("Statement", [])]
    return found


def test_only_what_cannot_be_narrower_is_a_wildcard() -> None:
    wide = {}
    for name, statement in statements():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        wanted = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        if "*" in wanted or any("*" in action for action in actions):
            wide[name] = statement.get("Sid", actions[0])
    assert wide == WILDCARDS


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_encrypted_backed_up_and_on_demand(name: str) -> None:
    table = TABLES[name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert template()["Resources"][name]["UpdateReplacePolicy"] == "Retain"
    assert template()["Resources"][name]["DeletionPolicy"].startswith("Retain")
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]


def test_every_room_whose_code_writes_an_outbox_has_its_stream_published() -> None:
    writing = {
        path.relative_to(ROOT / "functions").parts[0]
        for path in (ROOT / "functions").rglob("*.py")
        if "outbox(" in path.read_text()
    }
    streaming = {name for name, table in TABLES.items() if "StreamSpecification" in table}
    assert all(TABLES[name]["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES" for name in streaming)
    published = {
        event["Stream"]["Fn::GetAtt"].removesuffix(".StreamArn")
        for name, event in events("DynamoDB")
        if name == "OperationsPublish"
    }
    assert published == {f"{room.capitalize()}Table" for room in writing}
    assert published <= streaming


@pytest.mark.parametrize(
    ("name", "event"), events("DynamoDB"), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_stream_that_cannot_be_delivered_goes_to_the_failure_queue(name: str, event: dict[str, Any]) -> None:
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert event["BisectBatchOnFunctionError"] is True
    assert event["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": "StreamFailures.Arn"}}}
    assert event["MaximumRetryAttempts"] > 0
    for one in event["FilterCriteria"]["Filters"]:
        json.loads(one["Pattern"])


def test_every_queue_is_encrypted_and_redrives_to_a_dead_letter_queue_of_its_own() -> None:
    targets = {}
    for name, queue in QUEUES.items():
        assert queue["SqsManagedSseEnabled"] is True, name
        if "RedrivePolicy" in queue:
            targets[name] = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].removesuffix(".Arn")
        else:
            assert queue["MessageRetentionPeriod"] == 1209600, f"{name} keeps what failed for less than 14 days"
    assert len(set(targets.values())) == len(targets)
    listened = {event["Queue"]["Fn::GetAtt"].removesuffix(".Arn") for _, event in events("SQS")}
    assert listened == targets.keys()
    assert targets.keys() | set(targets.values()) | {"StreamFailures"} == QUEUES.keys()


@pytest.mark.parametrize(("name", "event"), events("SQS"), ids=lambda value: value if isinstance(value, str) else "")
def test_a_queues_consumer_answers_by_message_and_within_the_visibility_timeout(
    name: str, event: dict[str, Any]
) -> None:
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = QUEUES[event["Queue"]["Fn::GetAtt"].removesuffix(".Arn")]
    timeout = FUNCTIONS[name].get("Timeout", template()["Globals"]["Function"]["Timeout"])
    # AWS's advice is six times, so that retries of a throttled batch fit in; the rail's saga waits no longer than 60 s.
    assert queue["VisibilityTimeout"] >= (2 if name == "TransfersRailAnswer" else 6) * timeout


def test_health_watches_every_dead_letter_queue() -> None:
    policies = FUNCTIONS["OperationsHealth"]["Policies"][0]["Statement"]
    watched = {
        each["Fn::GetAtt"].removesuffix(".Arn")
        for statement in policies
        if "sqs:GetQueueAttributes" in statement["Action"]
        for each in statement["Resource"]
    }
    assert watched == {name for name in QUEUES if name.endswith("DeadLetters")} | {"StreamFailures"}


def test_every_path_is_one_event_for_any_method() -> None:
    paths = Counter(event["Path"] for _, event in events("Api"))
    assert set(paths.values()) == {1}
    assert {event["Method"] for _, event in events("Api")} == {"ANY"}
    assert all(event["RestApiId"] == {"Ref": "Api"} for _, event in events("Api"))
    of_the_api = {name for name, function in FUNCTIONS.items() if ".api." in function["Handler"]}
    assert of_the_api - {"AuthAuthorizer"} == {name for name, _ in events("Api")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_named_for_its_file(name: str) -> None:
    function = FUNCTIONS[name]
    functions, room, kind, module, attribute = function["Handler"].split(".")
    assert (functions, attribute) == ("functions", "handler")
    assert room in ROOMS
    assert kind in ("api", "tasks", "events")
    assert function["CodeUri"] == f"functions/{room}"
    assert function["FunctionName"] == {"Fn::Sub": f"${{AWS::StackName}}-{room}-{module.replace('_', '-')}"}
    assert name == "".join(word.capitalize() for word in [room, *module.split("_")])
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": f"{room.capitalize()}Logs"}}
    built = template()["Resources"][name]["Metadata"]["BuildProperties"]
    assert built == {"ParentPackageMode": "explicit", "ParentPackages": f"functions.{room}"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_is_a_file_that_defines_it(name: str) -> None:
    module, _, attribute = FUNCTIONS[name]["Handler"].rpartition(".")
    tree = ast.parse((ROOT / Path(*module.split(".")).with_suffix(".py")).read_text())
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    names |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert attribute in names


def test_every_file_that_a_gateway_queue_or_saga_could_reach_is_a_handler() -> None:
    files = {
        f"functions.{path.parts[-3]}.{path.parts[-2]}.{path.stem}.handler"
        for kind in ("api", "tasks", "events")
        for path in (ROOT / "functions").glob(f"*/{kind}/*.py")
        if path.stem != "__init__"
    }
    assert files == {function["Handler"] for function in FUNCTIONS.values()}


def test_sagas_invoke_only_what_their_role_allows() -> None:
    for name, machine in resources("AWS::Serverless::StateMachine").items():
        invoked = {each["Fn::GetAtt"] for each in machine["DefinitionSubstitutions"].values()}
        allowed = machine["Policies"][0]["Statement"][0]
        assert allowed["Action"] == "lambda:InvokeFunction", name
        assert {each["Fn::GetAtt"] for each in allowed["Resource"]} == invoked, name
        text = (ROOT / machine["DefinitionUri"]).read_text()
        assert all(f"${{{placeholder}}}" in text for placeholder in machine["DefinitionSubstitutions"]), name
