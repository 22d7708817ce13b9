"""A platform that the tests break. They share it, and delete its data at the end.

`REMIT_RUN=<name>` selects another run than `break`. `REMIT_KEEP=1` uses that run as it is and leaves it running.
"""

import os
import warnings
from collections.abc import Iterator

import pytest

from emulator import platform as launcher
from emulator.settings import Run


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    name, keep = os.environ.get("REMIT_RUN") or "local", bool(os.environ.get("REMIT_KEEP"))
    run = Run("break" if name == "local" else name)
    if not keep:
        launcher.reset(run)
    run.folder.mkdir(parents=True, exist_ok=True)
    yield run
    if not keep:
        launcher.reset(run)


@pytest.fixture(scope="session")
def deployed(run: Run) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the launcher outlives its Popen object
        launcher.start(run)
        launcher.deploy(run)
    return run
