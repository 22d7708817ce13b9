"""The stacks: their size, and what one gives or names of another, which CloudFormation finds out only as it deploys."""

import re
from collections import Counter

import pytest

from tests.support.tables import contexts, functions, resources, root, texts
from tests.template.expanded import STACKS, expanded

LIMIT = 200  # of CloudFormation's 500, so that an alias and a canary fit for every function
EXPECTED = {
    "root": 22,
    "accounts": 62,
    "auth": 61,
    "mail": 21,
    "notifications": 13,
    "operations": 8,
    "transfers": 33,
}
NESTED = {
    name: each["Properties"]
    for name, each in root()["Resources"].items()
    if each["Type"] == "AWS::Serverless::Application"
}
_ARN = re.compile(r"^arn:\$\{AWS::Partition\}:(\w+):\$\{AWS::Region\}:\$\{AWS::AccountId\}:(.*)")


def test_every_context_is_a_nested_stack() -> None:
    assert {name: each["Location"] for name, each in NESTED.items()} == {
        context.capitalize(): f"templates/{context}.yaml" for context in contexts()
    }
    # The stage writes an access log, for which the account needs the role.
    assert set(root()["Resources"]["Api"]["DependsOn"]) == NESTED.keys() | {"GatewayAccount"}


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_stays_clear_of_cloudformations_limit(stack: str) -> None:
    kinds = Counter(each["Type"] for each in expanded(stack).values())
    assert kinds.total() < LIMIT, kinds
    # If this number changes, check that exactly the resources you meant to add or remove are the difference.
    assert kinds.total() == EXPECTED[stack], kinds


@pytest.mark.parametrize("context", contexts())
def test_a_context_gets_the_parameters_that_it_declares_and_uses(context: str) -> None:
    template = contexts()[context]
    assert NESTED[context.capitalize()]["Parameters"].keys() == template["Parameters"].keys()
    used = set(texts(list(template.values())))
    for name in template["Parameters"]:
        assert name in used or any(f"${{{name}}}" in text for text in used), name


def test_every_output_of_a_context_exists() -> None:
    named = [text.split(".Outputs.") for text in texts([root()["Resources"], root()["Outputs"]]) if ".Outputs." in text]
    assert named
    assert all(output in contexts()[nested.lower()]["Outputs"] for nested, output in named)


def test_what_is_named_across_contexts_exists() -> None:
    existing = {f"lambda:function:{each['FunctionName']['Fn::Sub']}" for each in functions().values()}
    existing |= {
        f"dynamodb:table/{each['TableName']['Fn::Sub']}" for each in resources("AWS::DynamoDB::Table").values()
    }
    existing |= {f"sqs:{each['QueueName']['Fn::Sub']}" for each in resources("AWS::SQS::Queue").values()}
    found = [_ARN.match(text) for stack in STACKS for text in texts(expanded(stack))]
    named = {f"{arn[1]}:{arn[2]}".replace("AWS::StackName", "Stack") for arn in found if arn}
    checked = {name for name in named if name.startswith(("lambda:", "dynamodb:", "sqs:"))}
    assert {"lambda:function:${Stack}-auth-find-user", "dynamodb:table/${Stack}-mail"} <= checked
    assert checked <= existing


def test_sam_makes_no_stage_but_ours() -> None:
    stages = [each["Properties"] for each in expanded("root").values() if each["Type"] == "AWS::ApiGateway::Stage"]
    assert [stage["StageName"] for stage in stages] == ["v1"]
    # With Swagger 2, SAM would name a stage of its own in the API's first deployment.
    (deployment,) = (each for each in expanded("root").values() if each["Type"] == "AWS::ApiGateway::Deployment")
    assert "StageName" not in deployment["Properties"]
