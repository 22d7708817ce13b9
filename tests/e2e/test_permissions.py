"""Each function's role allows what the function did in this session, and nothing else."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from emulator.settings import STACK
from tests.e2e.platform import Platform
from tests.support.tables import functions

pytestmark = pytest.mark.stage("last")

HANDLERS = {name: each["Handler"] for name, each in functions().items()}
# What is read once a worker process. The functions of a context share processes here, so only the first read is seen.
READ_ONCE = {"secretsmanager:GetSecretValue", "kms:GetPublicKey"}
_DIRECTORY = {"dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem", "lambda:InvokeFunction"}
# What a role allows and a session of tests need not see, with the reason. The stores' tests cover it.
UNSEEN: dict[str, set[str]] = {
    "AccountsApproveTransfer": _DIRECTORY,  # only if the payee directory does not know somebody yet
    "AccountsApproveDeposit": _DIRECTORY,
    "AccountsUsers": {"dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"},  # an alias that its user gives up
    "AccountsPayees": _DIRECTORY,
    "AccountsPost": {"dynamodb:BatchWriteItem"},  # a hot payer without enough folded funds
    "AuthPhone": {"dynamodb:DeleteItem"},  # a change of number: only one code a minute
    # a hot payer without enough folded funds; no route reserves yet
    "AccountsReserve": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchWriteItem"},
    "MailFlush": {"dynamodb:DeleteItem"},  # a flush that finds nothing to send
    "TransfersTransfers": {"dynamodb:UpdateItem"},  # a saga that does not end in time
    # an idempotency key on a request that needs none
    "NotificationsNotificationRead": {"dynamodb:PutItem", "secretsmanager:GetSecretValue"},
    # Lambda itself sends what it can't deliver from a stream
    "AccountsFold": {"sqs:SendMessage"},
    "OperationsPublish": {"sqs:SendMessage"},
}


@pytest.fixture(scope="module")
def resources(platform: Platform) -> dict[str, str]:
    """Return the physical ids of all stacks' resources by logical id."""
    pages = platform.run.client("cloudformation").get_paginator("list_stack_resources")
    found: dict[str, str] = {}
    stacks = [STACK]
    while stacks:
        for page in pages.paginate(StackName=stacks.pop()):
            for each in page["StackResourceSummaries"]:
                found[each["LogicalResourceId"]] = each["PhysicalResourceId"]
                if each["ResourceType"] == "AWS::CloudFormation::Stack":
                    stacks.append(each["PhysicalResourceId"])
    return found


@pytest.fixture(scope="module")
def allowed(platform: Platform, resources: dict[str, str]) -> dict[str, set[tuple[str, str]]]:
    """Return the actions and resources of the inline policies of each function's role."""
    iam = platform.run.client("iam")
    found: dict[str, set[tuple[str, str]]] = {}
    for logical in HANDLERS:
        role, pairs = resources[f"{logical}Role"], set()
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for statement in (json.loads(document) if isinstance(document, str) else document)["Statement"]:
                actions, wanted = statement["Action"], statement.get("Resource", "*")
                for action in [actions] if isinstance(actions, str) else actions:
                    pairs |= {(action, each) for each in ([wanted] if isinstance(wanted, str) else wanted)}
        found[logical] = pairs
    return found


@pytest.fixture(scope="module")
def done(platform: Platform) -> dict[str, set[tuple[str, str]]]:
    """Return the actions and resources of the calls that each function made."""
    found: dict[str, set[tuple[str, str]]] = {}
    for call in platform.calls():
        found.setdefault(call["function"], set()).update((each["action"], each["resource"]) for each in call["iam"])
    return found


@pytest.mark.whole_session
def test_every_function_ran(platform: Platform, allowed: dict[str, set[tuple[str, str]]]) -> None:
    ran = {each["logical"] for each in platform.control("GET", "workers")["functions"].values()}
    assert allowed.keys() - ran == set()


def covered(pair: tuple[str, str], by: set[tuple[str, str]]) -> bool:
    """Return whether one of these matches; a `*` on either side stands for any part of a resource."""
    return any(
        action == pair[0] and (fnmatchcase(pair[1], resource) or fnmatchcase(resource, pair[1]))
        for action, resource in by
    )


def listed(found: dict[str, set[tuple[str, str]]]) -> str:
    """Return what is found, a line each."""
    return "\n".join(f"{name}: {action} on {on}" for name, pairs in found.items() for action, on in sorted(pairs))


def test_functions_do_only_what_their_roles_allow(
    allowed: dict[str, set[tuple[str, str]]], done: dict[str, set[tuple[str, str]]]
) -> None:
    missing = {name: {pair for pair in pairs if not covered(pair, allowed[name])} for name, pairs in done.items()}
    assert listed(missing) == ""


@pytest.mark.whole_session
def test_roles_allow_only_what_functions_do(
    allowed: dict[str, set[tuple[str, str]]], done: dict[str, set[tuple[str, str]]]
) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    for logical, name in HANDLERS.items():
        seen.setdefault(name.split(".")[1], set()).update(done.get(logical, set()))
    unused = {
        logical: {
            pair
            for pair in pairs
            if not covered(pair, done.get(logical, set()))
            and pair[0] not in UNSEEN.get(logical, set())
            and not (pair[0] in READ_ONCE and covered(pair, seen.get(HANDLERS[logical].split(".")[1], set())))
        }
        for logical, pairs in allowed.items()
    }
    assert listed(unused) == ""
