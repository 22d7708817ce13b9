"""The templates as data, and tables made as they define them, in moto or in any other engine behind a client."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short intrinsic functions as `{"Fn::Name": value}`."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = "Ref" if suffix == "Ref" else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def read(path: Path) -> dict[str, Any]:
    """Return a template, or a file that a template includes, parsed."""
    parsed: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return parsed


@cache
def root() -> dict[str, Any]:
    """Return template.yaml, parsed."""
    return read(ROOT / "template.yaml")


@cache
def contexts() -> dict[str, dict[str, Any]]:
    """Return each context's template, parsed, by the context's name."""
    found = {path.stem: read(path) for path in sorted((ROOT / "templates").glob("*.yaml"))}
    assert found
    return found


@cache
def template() -> dict[str, Any]:
    """Return the resources of all templates as one template's. A function has what its context's Globals give it."""
    merged: dict[str, Any] = {}
    for stack in (root(), *contexts().values()):
        for name, resource in stack["Resources"].items():
            assert name not in merged, f"{name} is in two templates"
            merged[name] = resource
            if resource["Type"] == "AWS::Serverless::Function":
                merged[name] = resource | {"Properties": stack["Globals"]["Function"] | resource["Properties"]}
    return {"Resources": merged}


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type, by logical id. There is at least one."""
    found = {name: each["Properties"] for name, each in template()["Resources"].items() if each["Type"] == kind}
    assert found, kind
    return found


def functions() -> dict[str, dict[str, Any]]:
    """Return the properties of all functions, by logical id."""
    return resources("AWS::Serverless::Function")


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a part of a template."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def create_table(client: Any, context: str) -> str:
    """Create a context's table as its template defines it, and return its name."""
    properties = contexts()[context]["Resources"][f"{context.capitalize()}Table"]["Properties"]
    name = f"remit-{context}"
    wanted = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "StreamSpecification")
    request = {key: properties[key] for key in wanted if key in properties}
    if "StreamSpecification" in request:
        request["StreamSpecification"] = {"StreamEnabled": True, **request["StreamSpecification"]}
    client.create_table(TableName=name, **request)
    return name
