"""The root's parameters and what follows from them: rules, throttles, the access log, tags, the optional domain."""

import importlib
import json
import re
import tomllib
from typing import Any

import pytest

from tests.support.tables import ROOT, contexts, functions, read, root
from tests.template.expanded import expanded

RULES = root()["Rules"]
PARAMETERS = root()["Parameters"]
# Anonymous routes that change nothing which has to be guarded from floods.
UNTHROTTLED = {"/auth/logout"}
HOSTED = {"PublicUrl": "https://api.example.com", "Sender": "no-reply@example.com"}


def holds(expression: Any, given: dict[str, str]) -> bool:
    """Return whether an expression of a rule holds."""
    ((function, value),) = expression.items()
    if function == "Fn::Not":
        return not holds(value[0], given)
    first, second = (given[each["Ref"]] if isinstance(each, dict) else each for each in value)
    if function == "Fn::Contains":
        return second in first
    assert function == "Fn::Equals"
    return bool(first == second)


def refused(**overrides: str) -> list[str]:
    """Return what the rules say against these parameters; the others have their defaults."""
    given = {name: str(each.get("Default", "")) for name, each in PARAMETERS.items()} | overrides
    return [
        assertion["AssertDescription"]
        for rule in RULES.values()
        if holds(rule["RuleCondition"], given)
        for assertion in rule["Assertions"]
        if not holds(assertion["Assert"], given)
    ]


def test_prod_does_not_deploy_with_the_sandbox_rail() -> None:
    (reason,) = refused(Environment="prod", **HOSTED)
    assert "sandbox" in reason
    assert refused(Environment="prod", Rail="a real one", **HOSTED) == []
    assert refused(Environment="dev", **HOSTED) == []


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_a_hosted_stack_needs_its_address_and_its_sender(environment: str) -> None:
    reasons = refused(Environment=environment, Rail="a real one")
    assert [reason.split()[0] for reason in reasons] == ["PublicUrl", "Sender"]
    assert "Default" in PARAMETERS["PublicUrl"]  # empty, for the rule to say more than CloudFormation would
    assert PARAMETERS["PublicUrl"]["Default"] == PARAMETERS["Sender"]["Default"] == ""


@pytest.mark.parametrize("environment", ["local", "localstack"])
def test_the_local_stacks_deploy_with_what_samconfig_gives(environment: str) -> None:
    assert refused(Environment=environment, **configured(environment)) == []
    assert configured(environment)["Sender"]


def configured(environment: str) -> dict[str, str]:
    """Return the parameters that samconfig.toml gives an environment."""
    with (ROOT / "samconfig.toml").open("rb") as file:
        text = tomllib.load(file)[environment]["deploy"]["parameters"]["parameter_overrides"]
    return dict(pair.split("=", 1) for pair in text.split() if not pair.startswith("Environment="))


def test_a_domain_needs_its_certificate() -> None:
    (reason,) = refused(Environment="dev", DomainName="api.example.com", **HOSTED)
    assert reason.startswith("CertificateArn")
    assert refused(Environment="dev", DomainName="api.example.com", CertificateArn="arn:x", **HOSTED) == []


def test_rules_use_only_what_cloudformation_allows_there() -> None:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference-rules.html
    used = set(re.findall(r'"(Fn::\w+|Ref)"', json.dumps(RULES)))
    assert used == {"Fn::Equals", "Fn::Not", "Fn::Contains", "Ref"}


def stage() -> dict[str, Any]:
    (found,) = (each["Properties"] for each in expanded("root").values() if each["Type"] == "AWS::ApiGateway::Stage")
    return dict(found)


def test_what_anybody_may_call_in_auth_is_throttled_by_itself() -> None:
    settings = {each["ResourcePath"]: each for each in stage()["MethodSettings"] if each["ResourcePath"] != "/*"}
    # A path has ~1 for each slash, after a first one; ANY is no method here, each verb is.
    throttled = {path[1:].replace("~1", "/"): each for path, each in settings.items()}
    assert all(re.fullmatch(r"/(~1[a-z-]+)+", path) for path in settings)
    modules = [
        importlib.import_module(each["Handler"].removesuffix(".handler"))
        for name, each in functions().items()
        if ".auth.api." in each["Handler"] and name != "AuthAuthorizer"
    ]
    anonymous = {
        path
        for module in modules
        for (method, path), route in module.api.routes.items()
        if route.public and method == "POST"
    }
    assert throttled.keys() == anonymous - UNTHROTTLED | {"/auth/reauthenticate"}
    for path, each in throttled.items():
        parameter = each["ThrottlingRateLimit"]["Ref"]
        assert each["HttpMethod"] == "POST"
        assert each["ThrottlingBurstLimit"] == {"Ref": parameter}, path
        assert PARAMETERS[parameter]["Default"] <= 100
        assert configured("local")[parameter] == "1000"


def test_the_access_log_says_who_called_what_and_nothing_secret() -> None:
    setting = stage()["AccessLogSetting"]
    assert setting["DestinationArn"] == {"Fn::GetAtt": "AccessLogs.Arn"}
    line = json.loads(setting["Format"])
    assert "\n" not in setting["Format"]
    assert line == {
        "time": "$context.requestTime",
        "request_id": "$context.requestId",
        "ip": "$context.identity.sourceIp",
        "method": "$context.httpMethod",
        "route": "$context.resourcePath",
        "status": "$context.status",
        "error": "$context.error.responseType",
        "ms": "$context.responseLatency",
        "user_id": "$context.authorizer.user_id",
        "user_agent": "$context.identity.userAgent",
    }
    assert expanded("root")["AccessLogs"]["Properties"]["RetentionInDays"] == 90


def test_the_gateway_may_write_its_log_before_it_has_a_stage() -> None:
    made = expanded("root")
    assert made["GatewayAccount"]["Properties"] == {"CloudWatchRoleArn": {"Fn::GetAtt": "GatewayLogsRole.Arn"}}
    assert "GatewayAccount" in made["Api"]["DependsOn"]
    for name in ("GatewayAccount", "GatewayLogsRole"):
        assert "Condition" not in made[name]
        # Other stacks of the account and region may rely on it.
        assert made[name]["DeletionPolicy"] == made[name]["UpdateReplacePolicy"] == "Retain"
    (policy,) = made["GatewayLogsRole"]["Properties"]["ManagedPolicyArns"]
    assert policy["Fn::Sub"].endswith("AmazonAPIGatewayPushToCloudWatchLogs")


def test_a_domain_leads_to_the_stage_and_closes_the_other_address() -> None:
    made = expanded("root")
    assert {name for name, each in made.items() if each.get("Condition") == "HasDomain"} == {"Domain", "DomainMapping"}
    mapping = made["DomainMapping"]["Properties"]
    (name,) = (name for name, each in made.items() if each["Type"] == "AWS::ApiGateway::Stage")
    assert (mapping["BasePath"], mapping["Stage"]) == ("v1", {"Ref": name})
    endpoint = read(ROOT / "gateway.yaml")["x-amazon-apigateway-endpoint-configuration"]
    assert endpoint == {"disableExecuteApiEndpoint": {"Fn::If": ["HasDomain", True, False]}}


@pytest.mark.parametrize("context", contexts())
def test_a_stack_is_tagged(context: str) -> None:
    tags = {each["Key"]: each["Value"] for each in expanded("root")[context.capitalize()]["Properties"]["Tags"]}
    assert tags["Project"] == "remit"
    assert tags["Environment"] == {"Ref": "Environment"}
    assert tags["Context"] == context


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_samconfig_gives_a_hosted_stack_its_region_name_and_tags(environment: str) -> None:
    with (ROOT / "samconfig.toml").open("rb") as file:
        given = tomllib.load(file)[environment]["deploy"]["parameters"]
    assert given["stack_name"] == f"remit-{environment}"
    assert given["region"]
    assert given["tags"] == f"Project=remit Environment={environment}"


def test_a_parameter_alone_reaches_the_gateway() -> None:
    assert root()["Resources"]["Api"]["Properties"]["AlwaysDeploy"] is True
    (first,) = (name for name, each in expanded("root").items() if each["Type"] == "AWS::ApiGateway::Deployment")
    expanded.cache_clear()
    (second,) = (name for name, each in expanded("root").items() if each["Type"] == "AWS::ApiGateway::Deployment")
    assert first != second


def test_passwords_of_strangers_can_be_kept_from_taking_all_of_lambda() -> None:
    made = expanded("auth")
    reserving = {name for name, each in made.items() if "ReservedConcurrentExecutions" in each["Properties"]}
    assert reserving == {"AuthRegister", "AuthLogin", "AuthPasswordReset"}
    for name in reserving:
        assert made[name]["Properties"]["ReservedConcurrentExecutions"] == {
            "Fn::If": ["ReservesPasswordConcurrency", {"Ref": "PasswordConcurrency"}, {"Ref": "AWS::NoValue"}]
        }


def test_sagas_log_where_log_delivery_needs_no_policy_of_its_own() -> None:
    made = expanded("transfers")
    assert made["SagaLogs"]["Properties"]["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/")
    for each in made.values():
        if each["Type"] == "AWS::StepFunctions::StateMachine":
            (destination,) = each["Properties"]["LoggingConfiguration"]["Destinations"]
            assert destination["CloudWatchLogsLogGroup"]["LogGroupArn"] == {"Fn::GetAtt": "SagaLogs.Arn"}
