"""gateway.yaml routes what the code registers, and every error code in use is in the catalogue."""

import ast
import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from common.http.problems import PROBLEMS

from tests.support.tables import ROOT, functions, read, texts
from tests.template.expanded import expanded
from tools import gateway

GATEWAY = read(ROOT / "gateway.yaml")
ANY = "x-amazon-apigateway-any-method"
AUTHORIZER = "AuthAuthorizer"
HANDLERS_OF_THE_API = {name: each for name, each in functions().items() if ".api." in each["Handler"]}
OF_THE_API = {name: each for name, each in HANDLERS_OF_THE_API.items() if name != AUTHORIZER}
assert OF_THE_API


def name_of(function: dict[str, Any]) -> str:
    """Return a function's name as the root template has it."""
    name: str = function["FunctionName"]["Fn::Sub"]
    return name.replace("${Stack}", "${AWS::StackName}")


def test_the_generated_files_are_fresh() -> None:
    stale = [path.name for path, text in gateway.files().items() if path.read_text() != text]
    assert stale == [], "make gateway"


def test_a_path_belongs_to_one_function_and_is_public_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(gateway.GatewayError, match="same path"):
        gateway._definition({"auth-me": {"/me": None}, "auth-user": {"/me": "Bearer"}})
    routes = {("GET", "/me"): SimpleNamespace(public=True), ("POST", "/me"): SimpleNamespace(public=False)}
    monkeypatch.setattr(gateway, "import_module", lambda name: SimpleNamespace(api=SimpleNamespace(routes=routes)))
    with pytest.raises(gateway.GatewayError, match="/me"):
        gateway.files()


def test_every_path_takes_any_method_and_answers_its_own_preflight() -> None:
    assert GATEWAY["paths"]
    assert all(item.keys() == {ANY, "options"} for item in GATEWAY["paths"].values())
    assert all("security" not in item["options"] for item in GATEWAY["paths"].values())


@pytest.mark.parametrize("name", OF_THE_API)
def test_a_function_serves_just_the_paths_that_lead_to_it(name: str) -> None:
    module = importlib.import_module(OF_THE_API[name]["Handler"].removesuffix(".handler"))
    target = f":function:{name_of(OF_THE_API[name])}/invocations"
    operations = {path: item[ANY] for path, item in GATEWAY["paths"].items()}
    leading = {
        path: operation
        for path, operation in operations.items()
        if operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"].endswith(target)
    }
    assert leading.keys() == {path for _, path in module.api.routes} != set()
    moving = {path for (_, path), route in module.api.routes.items() if route.moves_money}
    for (_, path), route in module.api.routes.items():
        scheme = "BearerUncached" if path in moving else "Bearer"
        assert leading[path].get("security", []) == ([] if route.public else [{scheme: []}]), path
        assert leading[path]["x-amazon-apigateway-integration"]["credentials"] == {"Fn::GetAtt": ["GatewayRole", "Arn"]}


def test_every_path_leads_to_a_function_of_the_api() -> None:
    registered = [
        path
        for each in OF_THE_API.values()
        for path in {path for _, path in importlib.import_module(each["Handler"].removesuffix(".handler")).api.routes}
    ]
    assert sorted(registered) == sorted(GATEWAY["paths"])


def test_the_gateway_may_invoke_the_endpoints_and_the_authorizer_only() -> None:
    (policy,) = expanded("root")["GatewayRole"]["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
    prefix = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"
    allowed = [each["Fn::Sub"].removeprefix(prefix) for each in statement["Resource"]]
    assert sorted(allowed) == sorted(name_of(each) for each in HANDLERS_OF_THE_API.values())
    # AWS allows 10,240 characters for all inline policies of a role.
    arns = [name.replace("${AWS::StackName}", "remit-prod").rjust(len(name) + 60) for name in allowed]
    assert len(json.dumps(arns, separators=(",", ":"))) < 10_000


@pytest.mark.parametrize(("scheme", "seconds"), [("Bearer", 60), ("BearerUncached", 0)])
def test_the_authorizer_is_invoked_by_the_same_role_and_cached_by_the_authorization_header(
    scheme: str, seconds: int
) -> None:
    authorizer = GATEWAY["components"]["securitySchemes"][scheme]["x-amazon-apigateway-authorizer"]
    assert authorizer["type"] == "request"
    assert authorizer["identitySource"] == "method.request.header.Authorization"
    assert authorizer["authorizerResultTtlInSeconds"] == seconds
    assert authorizer["authorizerCredentials"] == {"Fn::GetAtt": ["GatewayRole", "Arn"]}
    target = f":function:{name_of(HANDLERS_OF_THE_API[AUTHORIZER])}/invocations"
    assert authorizer["authorizerUri"]["Fn::Sub"].endswith(target)


def test_a_session_that_has_ended_moves_no_money_because_those_paths_ask_every_time() -> None:
    uncached = {
        path for path, item in GATEWAY["paths"].items() if item[ANY].get("security") == [{"BearerUncached": []}]
    }
    assert uncached == {path for _, path in moving_routes()}


def test_sam_deploys_the_definition_whole() -> None:
    made = expanded("root")["Api"]["Properties"]["Body"]
    assert made["openapi"] == "3.0.1"
    assert made["paths"].keys() == GATEWAY["paths"].keys()
    for item in made["paths"].values():
        headers = item["options"]["responses"]["200"]["headers"]
        assert len(headers) == 5
        assert all(header == {"schema": {"type": "string"}} for header in headers.values())


@pytest.mark.parametrize("file", ["gateway.yaml", "gateway-policy.yaml"])
def test_an_included_file_has_neither_anchors_nor_short_intrinsic_functions(file: str) -> None:
    kinds = {type(token) for token in yaml.scan((ROOT / file).read_text())}
    assert yaml.ScalarToken in kinds
    assert not kinds & {yaml.AnchorToken, yaml.AliasToken, yaml.TagToken}
    assert any("${AWS::StackName}" in each for each in texts(read(ROOT / file)))


def moving_routes() -> set[tuple[str, str]]:
    """Return method and path of each registered route that moves money."""
    return {
        (method, path)
        for function in OF_THE_API.values()
        for (method, path), route in importlib.import_module(
            function["Handler"].removesuffix(".handler")
        ).api.routes.items()
        if route.moves_money
    }


def test_every_route_that_moves_money_wants_a_key() -> None:
    assert moving_routes() == {("POST", "/transfers"), ("POST", "/deposits")}


def _codes(tree: ast.AST) -> set[str]:
    """Return the codes that a file raises: the first argument of `Refusal(...)`, if it is a literal."""
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Refusal"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_every_code_in_use_is_in_the_catalogue() -> None:
    files = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers" / "common").rglob("*.py")]
    used = {code: path for path in files for code in _codes(ast.parse(Path(path).read_text()))}
    assert used
    assert used.keys() <= PROBLEMS.keys(), {code: used[code] for code in used.keys() - PROBLEMS.keys()}


def test_the_gateways_own_errors_are_problems_of_the_catalogue() -> None:
    responses = GATEWAY["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "UNAUTHORIZED", "MISSING_AUTHENTICATION_TOKEN"} <= responses.keys()
    assert responses["WAF_FILTERED"]["statusCode"] == "403"
    for kind, response in responses.items():
        ((content_type, text),) = response["responseTemplates"].items()
        document = json.loads(text)
        code = document["code"]
        assert content_type == "application/json", kind
        assert PROBLEMS[code].status == document["status"] == int(response["statusCode"]), kind
        assert PROBLEMS[code].title == document["title"], kind
        assert document["type"] == f"/v1/problems/{code.replace('_', '-')}", kind
        headers = response["responseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'", kind
        assert headers["gatewayresponse.header.Cache-Control"] == "'no-store'", kind
        assert headers["gatewayresponse.header.X-Content-Type-Options"] == "'nosniff'", kind
        transport = headers["gatewayresponse.header.Strict-Transport-Security"]["Fn::If"]
        assert transport == ["OnAws", "'max-age=63072000; includeSubDomains'", {"Ref": "AWS::NoValue"}], kind
        assert headers["gatewayresponse.header.Request-Id"] == document["trace_id"].lstrip("$"), kind
        assert document["trace_id"] == "$context.requestId", kind
