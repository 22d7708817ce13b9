"""Recovery dies at each of its calls, and runs several times at once; test_after_the_storm sees what became of it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from localstack.tables import clock
from tests.e2e.storm import RECOVERY, Case, Storm
from tests.e2e.world import World


@pytest.fixture(scope="module")
def due(world: World, storm: Storm) -> Iterator[None]:
    """The stranded transfers are past their time; afterwards recovery runs by itself again."""
    for key in storm.stranded:
        (transfer,) = storm.ada.get("/transfers", idempotency_key=key)["data"]
        assert transfer["status"] == "pending"
        at = clock.parse(world.record(transfer["id"])["due_at"])
        time.sleep(max(0.0, (at - clock.now()).total_seconds()))
    yield
    world.schedule(on=True)


@pytest.mark.usefixtures("due")
@pytest.mark.parametrize("case", RECOVERY, ids=lambda case: case.id)
def test_recovery_dies(world: World, case: Case) -> None:
    with world.fault(case.rule):
        assert world.invoke("transfers-recover") is None
        assert world.fired() == 1


@pytest.mark.usefixtures("due")
def test_four_recoveries_at_once_start_each_transfer_once(world: World) -> None:
    now = clock.timestamp(clock.now())
    due = {item["id"]: item.get("attempts", 0) for item in world.scan("transfers") if item.get("due_at", "~") < now}
    assert due
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: world.invoke("transfers-recover"), range(4)))
    assert {each: world.record(each).get("attempts", 0) for each in due} == {each: n + 1 for each, n in due.items()}
