"""The times that have to fit together: the rail's answers, the queue that delivers them, the saga, and recovery."""

from typing import Any

import pytest
import yaml

from functions.transfers.adapters.rail import answer_to
from functions.transfers.domain.lifecycle import LIFECYCLES
from tests.support.tables import ROOT, functions, resources

SAGA: dict[str, Any] = yaml.safe_load((ROOT / "statemachines" / "deposit.asl.yaml").read_text())
QUEUE = resources("AWS::SQS::Queue")["RailQueue"]


def slowest_answer_seconds() -> int:
    """Return after how long the sandbox rail answers at the latest, if it answers."""
    slowest = answer_to("card", "0259")
    assert slowest is not None
    return slowest.delay_seconds


@pytest.mark.parametrize("state", ["Submit", "Refund"])
def test_an_answer_that_was_dropped_is_delivered_twice_more_before_the_saga_gives_up(state: str) -> None:
    hidden = QUEUE["VisibilityTimeout"]
    assert slowest_answer_seconds() + 2 * hidden < SAGA["States"][state]["TimeoutSeconds"]
    assert QUEUE["RedrivePolicy"]["maxReceiveCount"] >= 3


def test_a_lost_rail_answer_is_delivered_again_in_time() -> None:
    assert functions()["TransfersRailAnswer"]["Timeout"] < QUEUE["VisibilityTimeout"]


def test_what_is_due_is_looked_for_every_minute() -> None:
    (schedule,) = (
        event["Properties"]["Schedule"]
        for event in functions()["TransfersRecover"]["Events"].values()
        if event["Type"] == "Schedule"
    )
    assert schedule == "rate(1 minute)"
    assert functions()["TransfersRecover"]["Timeout"] < 60, "one run ends before the next"


def test_a_deposit_is_not_due_before_its_rail_has_had_its_time() -> None:
    assert LIFECYCLES["deposit"].due_after.total_seconds() > SAGA["States"]["Submit"]["TimeoutSeconds"]
