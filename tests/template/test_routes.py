"""What the code registers is what the template routes, and what it refuses with is in the catalogue."""

import ast
import importlib
import json
from pathlib import Path

import pytest
from common.errors import PROBLEMS

from tests.support.tables import ROOT, template

FUNCTIONS = {
    name: each["Properties"]
    for name, each in template()["Resources"].items()
    if each["Type"] == "AWS::Serverless::Function"
}
OF_THE_API = {
    name: function
    for name, function in FUNCTIONS.items()
    if any(e["Type"] == "Api" for e in function.get("Events", {}).values())
}


@pytest.mark.parametrize("name", OF_THE_API)
def test_a_function_serves_just_the_paths_that_lead_to_it(name: str) -> None:
    function = OF_THE_API[name]
    module = importlib.import_module(function["Handler"].removesuffix(".handler"))
    events = [event["Properties"] for event in function["Events"].values()]
    assert {path for _, path in module.api.routes} == {event["Path"] for event in events}
    public = {path: route.public for (_, path), route in module.api.routes.items()}
    for event in events:
        without_authorizer = event.get("Auth", {}).get("Authorizer") == "NONE"
        assert without_authorizer == public[event["Path"]], event["Path"]


def test_every_route_that_moves_money_wants_a_key() -> None:
    moving = {
        (method, path)
        for function in OF_THE_API.values()
        for (method, path), route in importlib.import_module(
            function["Handler"].removesuffix(".handler")
        ).api.routes.items()
        if route.moves_money
    }
    assert moving == {("POST", "/transfers"), ("POST", "/deposits")}


def _codes(tree: ast.AST) -> set[str]:
    """The codes that a file raises: the first argument of `Problem(...)`, where it is written out."""
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Problem"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_every_code_in_use_is_in_the_catalogue() -> None:
    files = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers" / "common").rglob("*.py")]
    used = {code: path for path in files for code in _codes(ast.parse(Path(path).read_text()))}
    assert used.keys() <= PROBLEMS.keys(), {code: used[code] for code in used.keys() - PROBLEMS.keys()}


def test_the_gateways_own_errors_are_problems_of_the_catalogue() -> None:
    for kind, response in template()["Resources"]["Api"]["Properties"]["GatewayResponses"].items():
        ((content_type, text),) = response["ResponseTemplates"].items()
        document = json.loads(text)
        code = document["code"]
        assert content_type == "application/json", kind
        assert PROBLEMS[code].status == document["status"] == int(response["StatusCode"]), kind
        assert PROBLEMS[code].title == document["title"], kind
        assert document["type"] == f"/v1/problems/{code.replace('_', '-')}", kind
        headers = response["ResponseParameters"]["Headers"]
        assert headers["Content-Type"] == "'application/problem+json'", kind
        assert headers["Request-Id"] == document["trace_id"].lstrip("$") == "context.requestId", kind
