"""What every resource must have, whichever context it belongs to."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tables import ROOT, contexts, functions, resources, root, template
from tests.template.expanded import STACKS, expanded

# Statements that AWS does not let be narrower, and why.
WILDCARDS = {
    # A key's own policy: its resource is always the key it is attached to.
    "TokenKey": "kms:*",
    "DataKey": "kms:*",
    # These calls set up log delivery, and none of them supports resource-level permissions.
    "TransferSagaRole": "LogDelivery",
    "DepositSagaRole": "LogDelivery",
}

FUNCTIONS = functions()
TABLES = resources("AWS::DynamoDB::Table")
QUEUES = resources("AWS::SQS::Queue")


def events(kind: str) -> list[tuple[str, dict[str, Any]]]:
    found = [
        (name, event["Properties"])
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == kind
    ]
    assert found, kind
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements() -> list[tuple[str, dict[str, Any]]]:
    """Return the statements of all policies as CloudFormation gets them, each with its resource."""
    found = []
    for stack in STACKS:
        for name, each in expanded(stack).items():
            properties = each.get("Properties", {})
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            documents += [properties[kind] for kind in ("KeyPolicy", "PolicyDocument") if kind in properties]
            found += [(name, statement) for document in documents for statement in document["Statement"]]
    assert found
    return found


def test_only_what_cannot_be_narrower_is_a_wildcard() -> None:
    wide = {}
    for name, statement in statements():
        actions = listed(statement["Action"])
        if "*" in listed(statement.get("Resource", [])) or any("*" in action for action in actions):
            wide[name] = statement.get("Sid", actions[0])
    assert wide == WILDCARDS


def test_texts_go_to_phone_numbers_and_to_no_topic() -> None:
    # A phone number is not a resource, so the statement says what it is not for.
    found = {name: statement for name, statement in statements() if "NotResource" in statement}
    topics = {"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}
    assert found == {"MailMailRole": {"Effect": "Allow", "Action": ["sns:Publish"], "NotResource": topics}}


def test_mail_is_sent_from_the_sender_alone() -> None:
    sending = {name: each for name, each in statements() if "ses:SendEmail" in listed(each["Action"])}
    assert sending.keys() == {"MailMailRole", "MailFlushRole"}
    for statement in sending.values():
        assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "Sender"}}}
        kinds = [each["Fn::Sub"].rpartition(":")[2] for each in statement["Resource"]]
        assert kinds == ["identity/*", "configuration-set/*"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_encrypted_backed_up_and_on_demand(name: str) -> None:
    table = TABLES[name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["Production", True, False]}
    assert template()["Resources"][name]["UpdateReplacePolicy"] == "Retain"
    assert template()["Resources"][name]["DeletionPolicy"].startswith("Retain")
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"]


def test_only_what_the_code_finds_by_name_keeps_its_name_when_the_stack_is_gone() -> None:
    # Such a stack can't be made again until these are taken over (docs/operations.md).
    kept = {
        each["Type"]
        for stack in STACKS
        for each in expanded(stack).values()
        if each.get("DeletionPolicy", "Delete") != "Delete"
        and {"Name", "TableName", "RoleName"} & each["Properties"].keys()
    }
    assert kept == {"AWS::DynamoDB::Table", "AWS::SecretsManager::Secret"}
    assert not [name for name, each in resources("AWS::SNS::Topic").items() if "TopicName" in each]


def test_every_context_whose_code_writes_an_outbox_has_its_stream_published() -> None:
    writing = {
        path.relative_to(ROOT / "functions").parts[0]
        for path in (ROOT / "functions").rglob("*.py")
        if "outbox(" in path.read_text()
    }
    assert writing
    published = {event["Stream"]["Ref"] for name, event in events("DynamoDB") if name == "OperationsPublish"}
    assert published == {f"{context.capitalize()}Stream" for context in writing}
    passed = root()["Resources"]["Operations"]["Properties"]["Parameters"]
    for context in writing:
        name = context.capitalize()
        assert passed[f"{name}Stream"] == {"Fn::GetAtt": f"{name}.Outputs.Stream"}
        assert contexts()[context]["Outputs"]["Stream"]["Value"] == {"Fn::GetAtt": f"{name}Table.StreamArn"}
    streaming = {name: table["StreamSpecification"] for name, table in TABLES.items() if "StreamSpecification" in table}
    assert {f"{context.capitalize()}Table" for context in writing} <= streaming.keys()
    assert all(stream["StreamViewType"] == "NEW_AND_OLD_IMAGES" for stream in streaming.values())


@pytest.mark.parametrize(
    ("name", "event"), events("DynamoDB"), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_stream_that_cannot_be_delivered_goes_to_the_failure_queue(name: str, event: dict[str, Any]) -> None:
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert event["BisectBatchOnFunctionError"] is True
    # The type is what makes SAM let the function's role write to the queue.
    assert event["DestinationConfig"] == {"OnFailure": {"Type": "SQS", "Destination": {"Ref": "StreamFailures"}}}
    if name == "OperationsPublish":
        # Events are retried until their record leaves the stream after a day, and in order for each item.
        assert (event["MaximumRetryAttempts"], event["MaximumRecordAgeInSeconds"]) == (-1, -1)
        assert event["ParallelizationFactor"] == 10
    else:
        assert event["MaximumRetryAttempts"] > 0
    for one in event["FilterCriteria"]["Filters"]:
        json.loads(one["Pattern"])


def mappings() -> list[tuple[str, str]]:
    found = [
        (stack, name)
        for stack in STACKS
        for name, each in expanded(stack).items()
        if each["Type"] == "AWS::Lambda::EventSourceMapping"
    ]
    assert len(found) == len(events("DynamoDB")) + len(events("SQS"))
    return found


@pytest.mark.parametrize(("stack", "name"), mappings())
def test_a_role_allows_what_lambda_does_for_an_event_source(stack: str, name: str) -> None:
    made = expanded(stack)
    mapping = made[name]["Properties"]
    role = made[made[mapping["FunctionName"]["Ref"]]["Properties"]["Role"]["Fn::GetAtt"][0]]["Properties"]
    reader = "AWSLambdaDynamoDBExecutionRole" if "StartingPosition" in mapping else "AWSLambdaSQSQueueExecutionRole"
    assert f"service-role/{reader}" in str(role["ManagedPolicyArns"])
    assert ("DestinationConfig" in mapping) == ("StartingPosition" in mapping)  # a queue has its dead-letter queue
    if "DestinationConfig" in mapping:
        allowed = [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]
        sent = {"Action": "sqs:SendMessage", "Resource": mapping["DestinationConfig"]["OnFailure"]["Destination"]}
        assert {"Effect": "Allow", **sent} in allowed


def test_every_queue_is_encrypted_and_redrives_to_a_dead_letter_queue_of_its_own() -> None:
    targets = {}
    for name, queue in QUEUES.items():
        assert queue["SqsManagedSseEnabled"] is True, name
        if "RedrivePolicy" in queue:
            targets[name] = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].removesuffix(".Arn")
        else:
            assert queue["MessageRetentionPeriod"] == 1209600, f"{name} keeps failed messages for less than 14 days"
    assert len(set(targets.values())) == len(targets)
    consumed = {event["Queue"]["Fn::GetAtt"].removesuffix(".Arn") for _, event in events("SQS")}
    assert consumed == targets.keys()
    # What SES says of mails is only kept for now.
    assert targets.keys() | set(targets.values()) | {"StreamFailures", "MailFeedbackQueue"} == QUEUES.keys()


@pytest.mark.parametrize(("name", "event"), events("SQS"), ids=lambda value: value if isinstance(value, str) else "")
def test_a_queues_consumer_reports_single_messages_within_the_visibility_timeout(
    name: str, event: dict[str, Any]
) -> None:
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = QUEUES[event["Queue"]["Fn::GetAtt"].removesuffix(".Arn")]
    timeout = FUNCTIONS[name]["Timeout"]
    # AWS recommends six times, so that retries of a throttled batch fit in; the rail's saga waits no longer than 60 s.
    assert queue["VisibilityTimeout"] >= (2 if name == "TransfersRailAnswer" else 6) * timeout


@pytest.mark.parametrize("name", ["MailMail", "MailFlush"])
def test_a_burst_of_mail_waits_in_its_queue(name: str) -> None:
    (event,) = (event for function, event in events("SQS") if function == name)
    assert event["BatchSize"] <= 2
    assert event["ScalingConfig"] == {"MaximumConcurrency": {"Fn::If": ["Local", 2, 10]}}
    queue = QUEUES[event["Queue"]["Fn::GetAtt"].removesuffix(".Arn")]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 10


def test_bounces_and_complaints_reach_a_queue() -> None:
    made = expanded("mail")
    destination = made["MailFeedback"]["Properties"]["EventDestination"]
    assert set(destination["MatchingEventTypes"]) == {"bounce", "complaint"}
    assert destination["SnsDestination"] == {"TopicARN": {"Ref": "MailFeedbackTopic"}}
    assert made["MailFeedbackSubscription"]["Properties"]["TopicArn"] == {"Ref": "MailFeedbackTopic"}
    # SES may use no key that AWS manages, so the topic has none. It publishes on its own.
    assert "KmsMasterKeyId" not in made["MailFeedbackTopic"]["Properties"]
    (statement,) = made["MailFeedbackTopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "ses.amazonaws.com"}
    assert statement["Condition"].keys() == {"StringEquals", "ArnEquals"}
    assert made["MailFeedback"]["DependsOn"] == "MailFeedbackTopicPolicy"


def test_health_watches_every_dead_letter_queue() -> None:
    watched = {
        each["Fn::Sub"].rpartition(":")[2] if "Fn::Sub" in each else each["Ref"]
        for statement in FUNCTIONS["OperationsHealth"]["Policies"][0]["Statement"]
        if "sqs:GetQueueAttributes" in statement["Action"]
        for each in statement["Resource"]
    }
    names = {queue["QueueName"]["Fn::Sub"] for name, queue in QUEUES.items() if name.endswith("DeadLetters")}
    assert watched == names | {"StreamFailures"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_named_for_its_file(name: str) -> None:
    function = FUNCTIONS[name]
    package, context, kind, module, attribute = function["Handler"].split(".")
    assert (package, attribute) == ("functions", "handler")
    assert name in contexts()[context]["Resources"]
    assert kind in ("api", "tasks", "events")
    assert function["CodeUri"] == f"../functions/{context}"
    assert function["FunctionName"] == {"Fn::Sub": f"${{Stack}}-{context}-{module.replace('_', '-')}"}
    assert name == "".join(word.capitalize() for word in [context, *module.split("_")])
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": f"{context.capitalize()}Logs"}}
    built = template()["Resources"][name]["Metadata"]["BuildProperties"]
    assert built == {"ParentPackageMode": "explicit", "ParentPackages": f"functions.{context}"}


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
        invoked = {json.dumps(each) for each in machine["DefinitionSubstitutions"].values()}
        allowed = machine["Policies"][0]["Statement"][0]
        assert allowed["Action"] == "lambda:InvokeFunction", name
        assert {json.dumps(each) for each in allowed["Resource"]} == invoked, name
        text = (ROOT / "templates" / machine["DefinitionUri"]).read_text()
        assert all(f"${{{placeholder}}}" in text for placeholder in machine["DefinitionSubstitutions"]), name
