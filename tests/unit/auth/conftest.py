"""A new world for each test. Retries do not wait, and every interruption must have happened."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from common import retry

from tests.unit.auth.world import World


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    assert not world.unused_interruptions
