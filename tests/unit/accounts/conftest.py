"""The fixtures of the accounts context's tests."""

import pytest

from tests.unit.accounts.world import World


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.retry._LONGEST_PAUSE_SECONDS", 0.0)


@pytest.fixture
def world() -> World:
    return World()
