"""Every fault of the storm strikes, and the client who meets it gets the outcome or an honest `try again`."""

import pytest

from tests.e2e.storm import CASES, Case, Storm, accepted


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_fault_is_never_an_internal_error(storm: Storm, case: Case) -> None:
    outcome = storm.outcomes[case.id]
    assert outcome.answer is not None
    assert accepted(outcome.answer)
    if case.do != "kill":
        assert outcome.answer.status == 201  # a process that survives tries again by itself
