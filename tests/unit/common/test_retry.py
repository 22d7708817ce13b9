"""Retries: bounded, with a growing pause that the caller may replace."""

import pytest
from common import retry
from common.errors import Contended, Refusal, Stale
from common.retry import pause, retry_on_conflict


class Attempt:
    """Raises Stale a number of times, then returns."""

    def __init__(self, stale: int) -> None:
        self.stale = stale
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        if self.count <= self.stale:
            raise Stale
        return "done"


@pytest.mark.parametrize("stale", [0, 1, 7])
def test_a_stale_attempt_runs_again(stale: int) -> None:
    attempt, waits = Attempt(stale), []
    assert retry_on_conflict(attempt, wait=waits.append) == "done"
    assert attempt.count == stale + 1
    assert waits == list(range(stale + 1))


def test_attempts_are_bounded() -> None:
    attempt = Attempt(99)
    with pytest.raises(Contended):
        retry_on_conflict(attempt, attempts=3, wait=lambda _: None)
    assert attempt.count == 3


def test_any_other_exception_passes_at_once() -> None:
    def refuse() -> None:
        raise Refusal("not_found")

    with pytest.raises(Refusal):
        retry_on_conflict(refuse, wait=lambda _: None)


def test_pauses_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(retry.time, "sleep", slept.append)
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: high)
    for attempt in range(8):
        pause(attempt)
    assert slept == [0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]
