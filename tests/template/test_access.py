"""Which keys and which items a function's role reaches."""

import importlib
import re
from typing import Any

import pytest

from tests.support.tables import ROOT, contexts, functions, root
from tests.template.expanded import STACKS, expanded

PURPOSES = {"request", "code", "pin", "instrument", "cursor", "email"}
SHARED = {"request", "cursor", "email"}
# Who digests codes, PINs and instruments, and who logs the email addresses of strangers.
READERS = {
    "code": {
        *("AuthVerifyEmail", "AuthMintCode", "AuthLoginVerify", "AuthPasswordReset", "AuthEmail", "AuthPhone"),
        *("AuthTotp", "AuthCheckCode", "AuthReauthenticate"),
    },
    "email": {
        *("AuthRegister", "AuthVerifyEmail", "AuthResendCode", "AuthLogin", "AuthPasswordForgot", "AuthPasswordReset"),
    },
    "pin": {"AccountsAccountPin", "AccountsAccountLimits", "AccountsApproveTransfer"},
    "instrument": {"AccountsCards", "AccountsBankAccounts"},
}
# Who writes into the partitions of accounts, where their heads and PINs are. A leading key tells no two sort keys
# apart, so a function that writes PINs is one of them.
ACCOUNT_WRITERS = {
    *("AccountsAccounts", "AccountsAccount", "AccountsAccountPin", "AccountsAccountLimits", "AccountsCloseAccounts"),
    *("AccountsLapse", "AccountsApproveTransfer", "AccountsPost", "AccountsReserve", "AccountsSettle"),
    *("AccountsRelease", "AccountsFold", "AccountsUsers", "AccountsExpect", "AccountsRefuse"),
}
JOURNAL_WRITERS = {
    "AccountsAccount",  # the line of a changed credit limit
    *("AccountsLapse", "AccountsPost", "AccountsReserve", "AccountsSettle", "AccountsRelease", "AccountsFold"),
}
# The grants of `dynamodb:*Item` in accounts that name no prefix: a scan reads everything.
UNBOUND = {"AccountsReconcile": {"dynamodb:Scan"}}
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def grants(stack: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the inline statements of a stack's functions, each with the function's logical id."""
    return [
        (name.removesuffix("Role"), statement)
        for name, each in expanded(stack).items()
        if each["Type"] == "AWS::IAM::Role" and name.removesuffix("Role") in functions()
        for policy in each["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def readers(purpose: str) -> set[str]:
    """Return the functions that may read the keys of a purpose."""
    name = f"{purpose.capitalize()}Key"
    references = ({"Ref": name}, {"Fn::GetAtt": f"{name}.Id"})
    return {
        function
        for stack in STACKS
        for function, statement in grants(stack)
        if "secretsmanager:GetSecretValue" in listed(statement["Action"])
        and any(each in references for each in listed(statement["Resource"]))
    }


def test_each_purpose_has_a_secret_where_its_readers_are() -> None:
    stacks = {"root": root(), **contexts()}
    for purpose in PURPOSES:
        name = f"{purpose.capitalize()}Key"
        (owner,) = (stack for stack, template in stacks.items() if name in template["Resources"])
        using = {functions()[each]["Handler"].split(".")[1] for each in readers(purpose)}
        assert {owner} == ({"root"} if purpose in SHARED else using), purpose
        prefix = "AWS::StackName" if owner == "root" else "Stack"
        secret = stacks[owner]["Resources"][name]
        assert secret["Properties"]["Name"] == {"Fn::Sub": f"${{{prefix}}}-{purpose}-key"}
        assert secret["Properties"]["GenerateSecretString"] == {
            "SecretStringTemplate": "{}",
            "GenerateStringKey": "1",
            "PasswordLength": 64,
            "ExcludePunctuation": True,
        }
        assert secret["UpdateReplacePolicy"] == "Retain"
        assert secret["DeletionPolicy"].startswith("Retain")


def routes_of(function: dict[str, Any]) -> list[Any]:
    api = getattr(importlib.import_module(function["Handler"].removesuffix(".handler")), "api", None)
    return list(api.routes.values()) if api else []


def test_who_takes_idempotency_keys_or_cursors_reads_their_keys_and_nobody_else() -> None:
    endpoints = {name: routes_of(each) for name, each in functions().items() if ".api." in each["Handler"]}
    assert readers("request") == {
        name for name, routes in endpoints.items() if any(route.idempotent for route in routes)
    }
    assert readers("cursor") == {
        name for name, routes in endpoints.items() if any("cursor" in route.query.model_fields for route in routes)
    }


@pytest.mark.parametrize("purpose", READERS)
def test_who_digests_for_a_purpose_reads_its_key_and_nobody_else(purpose: str) -> None:
    assert readers(purpose) == READERS[purpose]


def table_grants(context: str) -> list[tuple[str, set[str], set[str] | None]]:
    """Return the grants on a context's table: the function, the actions, and the prefixes of partition keys."""
    found = []
    for name, statement in grants(context):
        if statement["Resource"] == {"Fn::GetAtt": f"{context.capitalize()}Table.Arn"}:
            prefixes = None
            if "Condition" in statement:
                patterns = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
                prefixes = {pattern.removesuffix("*") for pattern in patterns}
            found.append((name, set(statement["Action"]), prefixes))
    assert found
    return found


def test_a_function_reaches_only_the_kinds_of_items_that_it_uses() -> None:
    # The code of accounts names its partitions in these files, as f"<letter>#...".
    answers = ROOT / "layers" / "common" / "common" / "answers.py"
    kinds = {
        prefix
        for path in [answers, *(ROOT / "functions" / "accounts" / "store").rglob("*.py")]
        for prefix in re.findall(r'"([A-Z]#)', path.read_text())
    }
    assert {"A#", "E#", "S#"} <= kinds
    unbound = {name: actions for name, actions, prefixes in table_grants("accounts") if prefixes is None}
    assert unbound == UNBOUND
    for name, _, prefixes in table_grants("accounts"):
        assert prefixes is None or set() != prefixes <= kinds, name
    # A condition on all values is met by a call without any, and only a scan is one.
    assert all(
        "dynamodb:Scan" not in actions for _, actions, prefixes in table_grants("accounts") if prefixes is not None
    )


@pytest.mark.parametrize(("prefix", "writers"), [("A#", ACCOUNT_WRITERS), ("E#", JOURNAL_WRITERS)])
def test_only_these_write_accounts_and_the_journal(prefix: str, writers: set[str]) -> None:
    found = {
        name
        for name, actions, prefixes in table_grants("accounts")
        if {f"dynamodb:{each}" for each in WRITES} & actions and prefixes and prefix in prefixes
    }
    assert found == writers


def test_what_knows_a_transfer_by_its_id_reaches_no_idempotency_key() -> None:
    bound = {name: prefixes for name, _, prefixes in table_grants("transfers") if prefixes}
    known_by_id = ("TransfersTransfer", "TransfersRailAnswer", "TransfersRecover")
    assert bound == {name: {"T#"} for name in known_by_id} | {"TransfersComplete": {"T#", "D#"}}


def test_the_publisher_gets_only_images_with_an_outbox() -> None:
    # The image comes whole: a stream has no projection. What the role may do with it is to publish to one topic.
    mappings = [
        each["Properties"]
        for each in expanded("operations").values()
        if each["Type"] == "AWS::Lambda::EventSourceMapping"
    ]
    assert len(mappings) == 3
    for mapping in mappings:
        (only,) = mapping["FilterCriteria"]["Filters"]
        assert only["Pattern"] == '{"dynamodb":{"NewImage":{"outbox":{"S":[{"exists":true}]}}}}'
    granted = [statement for name, statement in grants("operations") if name == "OperationsPublish"]
    assert [statement["Action"] for statement in granted] == [["sns:Publish"], "sqs:SendMessage"]
