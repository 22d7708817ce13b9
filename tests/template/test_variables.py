"""Each context's Globals set the environment variables that its code reads, and no others."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.tables import ROOT, contexts

COMMON = ROOT / "layers" / "common" / "common"
READ_BY_POWERTOOLS = {"POWERTOOLS_LOG_LEVEL"}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def variables_by_member() -> dict[str, set[str]]:
    """Return the variables behind each property and method of Config."""
    (config,) = (node for node in parsed(COMMON / "config.py").body if isinstance(node, ast.ClassDef))
    methods = {node.name: node for node in config.body if isinstance(node, ast.FunctionDef)}

    def variables(name: str) -> set[str]:
        nodes = list(ast.walk(methods[name]))
        constants = {node.value for node in nodes if isinstance(node, ast.Constant)}
        own = {each for each in constants if isinstance(each, str) and each.isupper()}
        used = {node.attr for node in nodes if isinstance(node, ast.Attribute)} & methods.keys()
        return own.union(*(variables(other) for other in used))

    return {name: variables(name) for name in methods if not name.startswith("_")}


def read_in(node: ast.AST) -> set[str]:
    """Return the variables behind the members of Config that the code mentions."""
    members = variables_by_member()
    used = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)} & members.keys()
    return set().union(*(members[name] for name in used))


def imported(tree: ast.Module) -> Iterator[Path]:
    """Yield the modules of `common` that a module imports."""
    for node in ast.walk(tree):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        for parts in (name.split(".")[1:] for name in names if name.split(".")[0] == "common"):
            path = COMMON.joinpath(*parts)
            yield from (each for each in (path.with_suffix(".py"), path / "__init__.py") if parts and each.exists())


def needed(context: str) -> set[str]:
    own = [parsed(path) for path in (ROOT / "functions" / context).rglob("*.py")]
    found = set().union(*(read_in(tree) for tree in own if COMMON / "config.py" in imported(tree)))
    shared: set[Path] = set()
    left = {path for tree in own for path in imported(tree)}
    while left:
        path = left.pop()
        shared.add(path)
        left |= set(imported(parsed(path))) - shared
    for path in shared - {COMMON / "config.py"}:
        if COMMON / "config.py" not in imported(parsed(path)):
            continue
        others = [*own, *(parsed(other) for other in shared - {path})]
        called = {node.id for tree in others for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for node in parsed(path).body:
            name = node.name if isinstance(node, ast.FunctionDef) else "_"
            if name.startswith("_") or name in called:
                found |= read_in(node)
    return found


def test_the_reader_finds_what_it_is_for() -> None:
    assert variables_by_member()["function"] == {"STACK"}
    assert variables_by_member()["state_machine"] == {"STATE_MACHINES"}
    assert {"STACK", "TOKEN_KEYS", "DATA_KEY", "ALLOWED_ORIGIN"} <= needed("auth")


@pytest.mark.parametrize("context", contexts())
def test_a_context_is_given_the_variables_that_its_code_reads(context: str) -> None:
    given = contexts()[context]["Globals"]["Function"]["Environment"]["Variables"].keys()
    assert given - READ_BY_POWERTOOLS == needed(context)
