"""The templates as CloudFormation gets them: after AWS::Include and SAM."""

import copy
from functools import cache
from typing import Any

from samtranslator.translator.transform import transform

from tests.support.tables import ROOT, contexts, read, root

STACKS = ["root", *contexts()]


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


@cache
def expanded(stack: str) -> dict[str, dict[str, Any]]:
    """Return the resources of a stack: `root`, or a context's name."""
    template = _included(copy.deepcopy(root() if stack == "root" else contexts()[stack]))
    for part in (template.get("Globals", {}).get("Function", {}), *_properties(template)):
        for local in part.keys() & {"CodeUri", "ContentUri", "DefinitionUri"}:
            part[local] = "s3://bucket/key"
        if "Location" in part:
            part["Location"] = "https://bucket/key"
    made: dict[str, dict[str, Any]] = transform(template, {}, _NoManagedPolicies())["Resources"]
    return made


def _properties(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [each["Properties"] for each in template["Resources"].values()]


def _included(value: Any) -> Any:
    """Replace every AWS::Include by the file that it names."""
    if isinstance(value, list):
        return [_included(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Transform" in value:
        assert value["Fn::Transform"]["Name"] == "AWS::Include"
        return read(ROOT / value["Fn::Transform"]["Parameters"]["Location"])
    return {key: _included(each) for key, each in value.items()}
