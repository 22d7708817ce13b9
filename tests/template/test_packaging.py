"""Every handler is importable from what `sam build` made of it and the layers, and from nothing else."""

import filecmp
import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from localstack.settings import Run
from tests.support import tables
from tests.support.tables import ROOT, template

FUNCTIONS = {
    name: each["Properties"]["Handler"]
    for name, each in template()["Resources"].items()
    if each["Type"] == "AWS::Serverless::Function"
}
ROOMS = sorted({handler.split(".")[1] for handler in FUNCTIONS.values()})
IMPORTS = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1]) + [path for path in sys.path if "site-packages" not in path]
for handler in json.loads(sys.argv[2]):
    module, _, name = handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name)), handler
"""


@cache
def build() -> tuple[Path, dict[str, Any]]:
    """The newest build of the runs that there are, and its template."""
    name = os.environ.get("REMIT_RUN") or "local"
    folders = [Run(each).build_folder for each in ("test" if name == "local" else name, "local")]
    for folder in folders:
        if (folder / "template.yaml").exists():
            return folder, yaml.load((folder / "template.yaml").read_text(), tables._Loader)["Resources"]
    pytest.fail("nothing is built yet: make e2e builds it")


def built(name: str) -> Path:
    """Where a function's or a layer's artifact is."""
    folder, resources = build()
    properties = resources[name]["Properties"]
    uri: str = properties.get("CodeUri") or properties["ContentUri"]
    return folder / uri


def closure(names: set[str]) -> set[str]:
    """The distributions that are installed with these: what they require, and what that requires."""
    found: set[str] = set()
    left = {canonicalize_name(name) for name in names}
    while left:
        name = left.pop()
        found.add(name)
        wanted = [Requirement(text) for text in distribution(name).requires or ()]
        needed = {
            canonicalize_name(each.name) for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})
        }
        left |= needed - found
    return found


def declared(folder: str) -> set[str]:
    """What a room or layer declares beyond its own code. A local build leaves it to the emulator's environment."""
    path = ROOT / folder / "requirements.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return {Requirement(line).name for line in lines if line.strip() and not line.startswith("#")}


def dependencies(folder: Path, names: set[str]) -> Path:
    """A folder with these distributions and what they require, and no other."""
    for name in closure(names):
        for file in distribution(name).files or ():
            top = file.parts[0]
            source = Path(str(distribution(name).locate_file(top)))
            if top != ".." and not (folder / top).exists() and source.exists():
                (folder / top).symlink_to(source)
    return folder


@pytest.mark.build
@pytest.mark.parametrize("room", ROOMS)
def test_a_rooms_handlers_import_from_their_artifact_and_the_layers(room: str, tmp_path: Path) -> None:
    handlers = [handler for handler in FUNCTIONS.values() if handler.split(".")[1] == room]
    artifact = built(next(name for name, handler in FUNCTIONS.items() if handler.split(".")[1] == room))
    # AWS's Python runtimes bring boto3; everything else has to be declared.
    wanted = {"boto3"} | declared("layers/dependencies") | declared(f"functions/{room}")
    paths = [artifact, built("CommonLayer") / "python", dependencies(tmp_path, wanted)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORTS, json.dumps([str(path) for path in paths]), json.dumps(handlers)],
        cwd=artifact,
        env={"PATH": os.environ["PATH"]},  # nothing is read from the environment while a module is imported
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.build
@pytest.mark.parametrize("room", ROOMS)
def test_the_functions_of_a_room_are_built_alike(room: str) -> None:
    first, *others = [built(name) for name, handler in FUNCTIONS.items() if handler.split(".")[1] == room]
    for other in others:
        assert differences(filecmp.dircmp(first, other, ignore=["__pycache__"])) == []


def differences(compared: "filecmp.dircmp[str]") -> list[str]:
    found = [*compared.left_only, *compared.right_only, *compared.diff_files]
    return found + [each for inner in compared.subdirs.values() for each in differences(inner)]


@pytest.mark.build
def test_the_common_layer_holds_the_library_where_python_looks() -> None:
    assert (built("CommonLayer") / "python" / "common" / "__init__.py").exists()
    assert not (built("CommonLayer") / "python" / "python").exists()
