"""Every handler can be imported from the artifact that `sam build` made and the layers, and from nothing else."""

import filecmp
import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emulator.settings import Run
from tests.support.tables import ROOT, contexts, functions, read

FUNCTIONS = {name: each["Handler"] for name, each in functions().items()}
IMPORTS = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1]) + [path for path in sys.path if "site-packages" not in path]
for handler in json.loads(sys.argv[2]):
    module, _, name = handler.rpartition(".")
    assert callable(getattr(importlib.import_module(module), name)), handler
"""


@cache
def build() -> dict[str, Path]:
    """Return the artifact of each function and layer in the newest build of the runs that exist."""
    name = os.environ.get("REMIT_RUN") or "local"
    folders = [Run(each).build_folder for each in ("test" if name == "local" else name, "local")]
    folder = next((each for each in folders if (each / "template.yaml").exists()), None)
    if not folder:
        pytest.fail("Nothing is built yet: make e2e builds it")
    return {
        name: template.parent / uri
        for template in (folder / "template.yaml", *folder.glob("*/template.yaml"))
        for name, each in read(template)["Resources"].items()
        if (uri := each["Properties"].get("CodeUri") or each["Properties"].get("ContentUri"))
    }


def built(context: str) -> list[Path]:
    """Return the artifacts of a context's functions."""
    found = [build()[name] for name, handler in FUNCTIONS.items() if handler.split(".")[1] == context]
    assert found
    return found


def closure(names: set[str]) -> set[str]:
    """Return the distributions that are installed with these: what they require, and what that requires."""
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
    """Return what a context or layer declares beyond its own code. A local build leaves it to the emulator."""
    path = ROOT / folder / "requirements.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return {Requirement(line).name for line in lines if line.strip() and not line.startswith("#")}


def dependencies(folder: Path, names: set[str]) -> Path:
    """Return a folder with these distributions and what they require, and no other."""
    for name in closure(names):
        for file in distribution(name).files or ():
            top = file.parts[0]
            source = Path(str(distribution(name).locate_file(top)))
            if top != ".." and not (folder / top).exists() and source.exists():
                (folder / top).symlink_to(source)
    return folder


@pytest.mark.build
@pytest.mark.parametrize("context", contexts())
def test_a_contexts_handlers_import_from_their_artifact_and_the_layers(context: str, tmp_path: Path) -> None:
    handlers = [handler for handler in FUNCTIONS.values() if handler.split(".")[1] == context]
    artifact = built(context)[0]
    # AWS's Python runtimes bring boto3; everything else must be declared.
    wanted = {"boto3"} | declared("layers/dependencies") | declared(f"functions/{context}")
    paths = [artifact, build()["CommonLayer"] / "python", dependencies(tmp_path, wanted)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORTS, json.dumps([str(path) for path in paths]), json.dumps(handlers)],
        cwd=artifact,
        env={"PATH": os.environ["PATH"]},  # nothing may read the environment while a module is imported
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.build
@pytest.mark.parametrize("context", contexts())
def test_the_functions_of_a_context_are_built_alike(context: str) -> None:
    first, *others = built(context)
    for other in others:
        assert differences(filecmp.dircmp(first, other, ignore=["__pycache__"])) == []


@pytest.mark.build
@pytest.mark.parametrize("context", contexts())
def test_an_artifact_holds_its_contexts_code_alone(context: str) -> None:
    (package,) = (built(context)[0] / "functions").iterdir()
    assert package.name == context
    assert not [path for path in built(context)[0].rglob("*.yaml") if "functions" in path.parts]


def differences(compared: "filecmp.dircmp[str]") -> list[str]:
    found = [*compared.left_only, *compared.right_only, *compared.diff_files]
    return found + [each for inner in compared.subdirs.values() for each in differences(inner)]


@pytest.mark.build
def test_the_common_layer_holds_the_library_where_python_looks() -> None:
    assert (build()["CommonLayer"] / "python" / "common" / "__init__.py").exists()
    assert not (build()["CommonLayer"] / "python" / "python").exists()
