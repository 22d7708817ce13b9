"""The bugs of `make mutants` still fit the code that they are planted in."""

import ast

import pytest

from tests.mutants import MUTANTS, ROOT, Change, Mutant, planted


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_the_bug_can_be_planted(mutant: Mutant) -> None:
    for change in mutant.changes:
        ast.parse(planted((ROOT / change.path).read_text(), change))


@pytest.mark.parametrize("change", [Change("x", "a", "b"), Change("x", "c", "b"), Change("x", "d", "d")])
def test_a_bug_that_does_not_fit_is_refused(change: Change) -> None:
    with pytest.raises(ValueError, match="x has"):
        planted("aa d", change)
