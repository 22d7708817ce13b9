"""During a fault, a client gets the outcome or an error that says to try again."""

import pytest

from tests.e2e.fault_run import CASES, Case, FaultRun, is_acceptable

pytestmark = pytest.mark.stage("faults")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_fault_is_never_an_internal_error(fault_run: FaultRun, case: Case) -> None:
    outcome = fault_run.outcomes[case.id]
    assert outcome.answer is not None
    assert is_acceptable(outcome.answer)
    if case.do != "kill":
        assert outcome.answer.status == 201  # a process that survives the fault retries the call
