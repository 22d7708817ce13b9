"""docs/money-paths.md names tests that exist, and leaves out no case of the storm."""

import re

import pytest

from tests.e2e.storm import CASES, RECOVERY
from tests.support.tables import ROOT

PAGE = (ROOT / "docs" / "money-paths.md").read_text()
NAMES = set(re.findall(r"`([^`\s]+)`", PAGE))
FUNCTIONS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^\s*def (test_\w+)\(", path.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("name", sorted(name for name in NAMES if name.startswith("test_")))
def test_the_test_exists(name: str) -> None:
    assert name in FUNCTIONS


def test_the_cases_are_those_of_the_storm() -> None:
    told = {name for name in NAMES if re.fullmatch(r"(transfer|deposit|register|recovery)(-\w+)+-(before|after)", name)}
    assert told == {case.id for case in [*CASES, *RECOVERY]}


def test_every_call_has_an_answer_in_every_column() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| **")]
    assert len(rows) >= 36
    assert all(
        len(row.strip("|").split(" | ")) == 6 and all(cell.strip() for cell in row.strip("|").split(" | "))
        for row in rows
    )
