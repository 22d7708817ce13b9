"""Fixtures of the end-to-end tests, which share one freshly deployed platform, and the order in which they run.

`REMIT_RUN=<name>` selects another run than `test`. `REMIT_KEEP=1` uses that run as it is and leaves it running.

Every file can run alone, and files run in any order within their stage. A file states its stage by
`pytestmark = pytest.mark.stage("...")` if it depends on what other files do to the platform:

- `first` needs a platform on which nothing happens by itself.
- `faults` leaves interrupted work behind, which is finished while the tests without a stage run.
- `after_faults` checks that this work is finished.
- `last` checks everything that the platform has recorded. `whole_session` marks tests that can only pass if all other
  files have run; they are deselected if only some files are selected.
"""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator import platform as launcher
from emulator.settings import Run
from tests.e2e.client import Person
from tests.e2e.fault_run import FaultRun
from tests.e2e.platform import Platform

FOLDER = Path(__file__).parent
STAGES = ("first", "faults", None, "after_faults", "last")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"stage(name): when an end-to-end file runs: {', '.join(filter(None, STAGES))}")
    config.addinivalue_line("markers", "whole_session: checks what all end-to-end files together have done")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def stage(item: pytest.Item) -> int:
        marker = item.get_closest_marker("stage")
        return STAGES.index(marker.args[0] if marker else None)

    positions = [index for index, item in enumerate(items) if FOLDER in item.path.parents]
    tests = sorted((items[index] for index in positions), key=stage)
    for index, item in zip(positions, tests, strict=True):
        items[index] = item
    if {item.path for item in tests} < set(FOLDER.glob("test_*.py")):
        partial = [item for item in tests if item.get_closest_marker("whole_session")]
        items[:] = [item for item in items if item not in partial]
        config.hook.pytest_deselected(items=partial)


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    name = os.environ.get("REMIT_RUN") or "local"
    run, keep = Run("test" if name == "local" else name), bool(os.environ.get("REMIT_KEEP"))
    try:
        if not keep:
            launcher.reset(run)
        run.folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # the launcher's process outlives its Popen object
            launcher.start(run)
        launcher.deploy(run)
    except launcher.PlatformFailed as failure:
        pytest.exit(f"The platform did not start: {failure}", returncode=3)
    yield run
    if not keep:
        launcher.down(run)


@pytest.fixture(scope="session")
def platform(run: Run) -> Platform:
    return Platform(run)


@pytest.fixture(scope="session")
def fault_run(platform: Platform) -> Iterator[FaultRun]:
    faults = FaultRun(platform)
    faults.start()
    yield faults
    platform.schedules(on=True)


@pytest.fixture(scope="session")
def ada(platform: Platform) -> Person:
    return platform.person(funds=1_000_000)


@pytest.fixture(scope="session")
def bob(platform: Platform) -> Person:
    return platform.person()
