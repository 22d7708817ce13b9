"""What a module loads when it is imported: rules and use cases load nothing of AWS, HTTP or pydantic."""

import json
import subprocess
import sys

import pytest

from tests.support.tables import ROOT

LAYERS = ("domain", "service")
HEAVY = {"boto3", "botocore", "pydantic", "aws_lambda_powertools"}
CONTEXTS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/bootstrap.py"))
LOADED = """
import importlib, json, sys
for module in json.loads(sys.argv[1]):
    importlib.import_module(module)
print(json.dumps(sorted(sys.modules)))
"""


def modules(context: str) -> list[str]:
    folder = ROOT / "functions" / context
    files = [file for layer in LAYERS for file in [*folder.glob(f"{layer}.py"), *folder.glob(f"{layer}/**/*.py")]]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]


def loaded(names: list[str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, json.dumps(names)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'common'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_there_are_contexts() -> None:
    assert len(CONTEXTS) >= 6


@pytest.mark.parametrize("context", CONTEXTS)
def test_rules_and_use_cases_load_nothing_heavy(context: str) -> None:
    names = modules(context)
    assert {name.split(".")[2] for name in names} == set(LAYERS)
    found = loaded(names)
    assert names[0] in found
    assert found & HEAVY == set()
    assert {name for name in found if name.startswith(("common.http", "common.dynamo", "common.aws"))} == set()


def test_contracts_load_the_standard_library_clock_and_ids_alone() -> None:
    files = (ROOT / "layers" / "common" / "common" / "contracts").glob("*.py")
    found = loaded([f"common.contracts.{file.stem}" for file in files if file.stem != "__init__"])
    ours = {name for name in found if name.startswith("common.") and not name.startswith("common.contracts")}
    assert ours == {"common.clock", "common.ids"}


@pytest.mark.parametrize("handler", ["functions.auth.api.authorizer", "functions.accounts.tasks.post"])
def test_the_authorizer_and_the_tasks_load_neither_pydantic_nor_the_http_shell(handler: str) -> None:
    found = loaded([handler])
    assert "botocore" in found or "common.tasks" in found
    assert found & {"boto3", "pydantic", "common.http.app", "aws_lambda_powertools.event_handler"} == set()
