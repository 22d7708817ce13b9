"""What each function's role allows is what the function did in this session: nothing less, nothing more."""

import json
from typing import Any

import pytest

from localstack.settings import STACK
from tests.e2e.world import World

# What a role allows and a session of tests does not see, with the reason.
UNSEEN: dict[str, set[str]] = {}


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


def test_roles_allow_just_what_was_done(
    allowed: dict[str, set[tuple[str, str]]], done: dict[str, set[tuple[str, str]]]
) -> None:
    missing = {name: sorted(pairs - allowed[name]) for name, pairs in done.items() if pairs - allowed[name]}
    unused = {
        name: sorted(f"{action} {resource}" for action, resource in pairs - done.get(name, set()))
        for name, pairs in allowed.items()
        if {action for action, _ in pairs - done.get(name, set())} - UNSEEN.get(name, set())
    }
    assert (missing, unused) == ({}, {})
