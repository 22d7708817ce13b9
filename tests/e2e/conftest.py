"""The platform that the end-to-end tests run on: one of its own, fresh, for the whole session.

`REMIT_RUN=<name>` names another run than `test`, `REMIT_KEEP=1` takes the run as it is and leaves it running.
"""

import os
import warnings
from collections.abc import Iterator

import pytest

from localstack import platform
from localstack.settings import Run
from tests.e2e.client import Person
from tests.e2e.storm import Storm
from tests.e2e.world import World

# Bad input comes first, while nothing else moves; then the storm, so that its clocks run while others do their work.
ORDER = (
    "test_bad_input",
    "test_storm",
    "test_auth",
    "test_passwords",
    "test_second_factor",
    "test_addresses",
    "test_sessions",
    "test_api_keys",
    "test_users",
    "test_roles",
    "test_accounts",
    "test_account_life",
    "test_pins",
    "test_payees",
    "test_limits",
    "test_statements",
    "test_hot_accounts",
    "test_transfers",
    "test_deposits",
    "test_idempotency",
    "test_recovery",
    "test_gateway",
    "test_told",
    "test_contention",
    "test_after_the_storm",
    "test_reconciliation",
    "test_secrets",
    "test_tasks",
    "test_permissions",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def position(item: pytest.Item) -> int:
        name = item.module.__name__.rsplit(".", 1)[-1]  # type: ignore[attr-defined]
        return ORDER.index(name) if name in ORDER else len(ORDER)

    ours = [(index, item) for index, item in enumerate(items) if "/e2e/" in str(item.path)]
    ordered = sorted((item for _, item in ours), key=position)
    for (index, _), item in zip(ours, ordered, strict=True):
        items[index] = item


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    name = os.environ.get("REMIT_RUN") or "local"
    run, keep = Run("test" if name == "local" else name), bool(os.environ.get("REMIT_KEEP"))
    try:
        if not keep:
            platform.reset(run)
        run.folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the platform outlives whoever started it
            platform.start(run)
        platform.deploy(run)
    except platform.PlatformFailed as failure:
        pytest.exit(f"The platform did not start: {failure}", returncode=3)
    yield run
    if not keep:
        platform.down(run)


@pytest.fixture(scope="session")
def world(run: Run) -> World:
    return World(run)


@pytest.fixture(scope="session")
def storm(world: World) -> Storm:
    storm = Storm(world)
    storm.rage()
    return storm


@pytest.fixture(scope="session")
def ada(world: World) -> Person:
    return world.person(funds=1_000_000)


@pytest.fixture(scope="session")
def bob(world: World) -> Person:
    return world.person()
