"""What each function's role allows is what the function did in this session: nothing less, nothing more."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from localstack.settings import STACK
from tests.e2e.world import World
from tests.support.tables import template

HANDLERS = {
    name: each["Properties"]["Handler"]
    for name, each in template()["Resources"].items()
    if each["Type"] == "AWS::Serverless::Function"
}
# What is read once a worker process, which the functions of a room share here: whoever asks first is seen.
READ_ONCE = {"secretsmanager:GetSecretValue", "kms:GetPublicKey"}
_DIRECTORY = {"dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem", "lambda:InvokeFunction"}
# What a role allows and a session of tests need not see, with the reason. The stores' tests go there.
UNSEEN: dict[str, set[str]] = {
    "AccountsAuthorizeTransfer": _DIRECTORY,  # only where the payee directory has not heard of somebody yet
    "AccountsAuthorizeDeposit": _DIRECTORY,
    "AccountsDirectory": {"dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"},  # an alias that is given up
    "AccountsPayees": _DIRECTORY,
    "AccountsPost": {"dynamodb:BatchWriteItem"},  # a hot payer who is short and was not folded yet
    "AuthPhone": {"dynamodb:DeleteItem"},  # a number that is exchanged for another: there is a code a minute
    # a hot payer who is short, and no route reserves yet
    "AccountsReserve": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchWriteItem"},
    "MailFlush": {"dynamodb:DeleteItem"},  # a flush that finds nothing held
    "TransfersTransfers": {"dynamodb:UpdateItem"},  # a saga that gives no answer in time
    # an idempotency key on what needs none
    "NotificationsNotificationRead": {"dynamodb:PutItem", "secretsmanager:GetSecretValue"},
}


@pytest.fixture(scope="module")
def resources(world: World) -> dict[str, str]:
    """The stack's resources: logical name by physical name."""
    pages = world.run.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
    }


@pytest.fixture(scope="module")
def allowed(world: World, resources: dict[str, str]) -> dict[str, set[tuple[str, str]]]:
    """For each function the actions and resources of its role's own policies."""
    iam = world.run.client("iam")
    found: dict[str, set[tuple[str, str]]] = {}
    for logical in resources:
        if f"{logical}Role" not in resources or logical.endswith("Saga"):
            continue
        role, pairs = resources[f"{logical}Role"], set()
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for statement in (json.loads(document) if isinstance(document, str) else document)["Statement"]:
                actions, wanted = statement["Action"], statement["Resource"]
                for action in [actions] if isinstance(actions, str) else actions:
                    pairs |= {(action, each) for each in ([wanted] if isinstance(wanted, str) else wanted)}
        found[logical] = pairs
    return found


@pytest.fixture(scope="module")
def done(world: World) -> dict[str, set[tuple[str, str]]]:
    """For each function the actions and resources of the calls that it made."""
    found: dict[str, set[tuple[str, str]]] = {}
    for call in world.calls():
        found.setdefault(call["function"], set()).update((each["action"], each["resource"]) for each in call["iam"])
    return found


def test_every_function_ran(world: World, allowed: dict[str, set[tuple[str, str]]]) -> None:
    ran = {each["logical"] for each in world.control("GET", "workers")["functions"].values()}
    assert allowed.keys() - ran == set()


def covered(pair: tuple[str, str], by: set[tuple[str, str]]) -> bool:
    """Whether a call is among these, or one of these is a call of it; a `*` stands for any part of a resource."""
    return any(
        action == pair[0] and (fnmatchcase(pair[1], resource) or fnmatchcase(resource, pair[1]))
        for action, resource in by
    )


def listed(found: dict[str, set[tuple[str, str]]]) -> str:
    """What is found, a line each."""
    return "\n".join(f"{name}: {action} on {on}" for name, pairs in found.items() for action, on in sorted(pairs))


def test_functions_do_only_what_their_roles_allow(
    allowed: dict[str, set[tuple[str, str]]], done: dict[str, set[tuple[str, str]]]
) -> None:
    missing = {name: {pair for pair in pairs if not covered(pair, allowed[name])} for name, pairs in done.items()}
    assert listed(missing) == ""


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
