"""The room on fakes, with a clock that stands still."""

import pytest

from tests.unit.auth.room import Room


@pytest.fixture
def room() -> Room:
    return Room()
