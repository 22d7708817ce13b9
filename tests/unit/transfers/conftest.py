"""The world of the unit tests of transfers."""

import pytest

from tests.unit.transfers.world import World


@pytest.fixture
def world() -> World:
    return World()
