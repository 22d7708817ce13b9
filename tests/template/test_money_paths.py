"""docs/money-paths.md names only tests that exist, and every case of the fault run."""

import re

import pytest

from tests.e2e.fault_run import CASES, RECOVERY
from tests.support.tables import ROOT

PAGE = (ROOT / "docs" / "money-paths.md").read_text()
NAMES = set(re.findall(r"`([^`\s]+)`", PAGE))
FUNCTIONS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^\s*def (test_\w+)\(", path.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("name", sorted(name for name in NAMES if name.startswith("test_")))
def test_every_named_test_exists(name: str) -> None:
    assert name in FUNCTIONS


def test_the_cases_are_those_of_the_fault_run() -> None:
    cases = {
        name for name in NAMES if re.fullmatch(r"(transfer|deposit|register|recovery)(-\w+)+-(before|after)", name)
    }
    assert cases == {case.id for case in [*CASES, *RECOVERY]}


def test_every_row_has_an_answer_in_every_column() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| **")]
    assert len(rows) >= 36
    assert all(
        len(row.strip("|").split(" | ")) == 6 and all(cell.strip() for cell in row.strip("|").split(" | "))
        for row in rows
    )
