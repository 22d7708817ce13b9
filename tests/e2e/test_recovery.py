"""Recovery is killed at each of its calls, and runs several times at once. test_after_faults.py checks the result."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.fault_run import RECOVERY, Case, FaultRun
from tests.e2e.platform import Platform
from tools.tables import clock

pytestmark = [pytest.mark.stage("faults"), pytest.mark.usefixtures("stranded_transfers")]


@pytest.fixture(scope="module")
def stranded_transfers(platform: Platform, fault_run: FaultRun) -> Iterator[None]:
    """Wait until the stranded transfers are due. Enable the schedules again after the tests."""
    for key in fault_run.stranded:
        (transfer,) = fault_run.ada.get("/transfers", idempotency_key=key)["data"]
        assert transfer["status"] == "pending"
        due_at = clock.parse(platform.record(transfer["id"])["due_at"])
        time.sleep(max(0.0, (due_at - clock.now()).total_seconds()))
    yield
    platform.schedules(on=True)


@pytest.mark.parametrize("case", RECOVERY, ids=lambda case: case.id)
def test_recovery_is_killed(platform: Platform, case: Case) -> None:
    with platform.fault(case.rule):
        assert platform.invoke("transfers-recover") is None
        assert platform.fired() == 1


def test_four_recoveries_at_once_start_each_transfer_once(platform: Platform) -> None:
    now = clock.timestamp(clock.now())
    due = {item["id"]: item.get("attempts", 0) for item in platform.scan("transfers") if item.get("due_at", "~") < now}
    assert due
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: platform.invoke("transfers-recover"), range(4)))
    assert {each: platform.record(each).get("attempts", 0) for each in due} == {
        transfer_id: attempts + 1 for transfer_id, attempts in due.items()
    }
