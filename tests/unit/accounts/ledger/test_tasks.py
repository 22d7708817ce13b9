"""The functions of the ledger, as sagas and the table's stream invoke them."""

from typing import Any

import pytest
from common.errors import TaskFailed

from functions.accounts.events import fold
from functions.accounts.tasks import expect, post, refuse, release, reserve, settle
from tests.support.memory_table import Call, MemoryTable
from tests.support.rest import CONTEXT
from tests.unit.accounts.ledger.costs import costs
from tests.unit.accounts.ledger.snapshot import Snapshot
from tests.unit.accounts.ledger.world import ALICE, BOB, FEES, RAIL, World, trf


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    for module in (expect, post, refuse, reserve, settle, release):
        monkeypatch.setattr(module, "ledger", lambda: world.ledger)
    monkeypatch.setattr(fold, "folding", lambda: world.folding)
    return world


def posting(number: int, source: str, destination: str, amount: object) -> dict[str, Any]:
    return {
        "transfer_id": trf(number),
        "source_account_id": source,
        "destination_account_id": destination,
        "amount": amount,
        "currency": "USD",
    }


def test_tasks_return_plain_values(world: World) -> None:
    at = world.now()
    posted = {"outcome": "posted", "code": "", "at": at}
    assert post.handler(posting(1, RAIL, ALICE, 100), CONTEXT) == posted
    assert refuse.handler({"transfer_id": trf(1), "outcome": "failed"}, CONTEXT) == posted
    money = {"transfer_id": trf(3), "account_id": ALICE, "amount": 60, "currency": "USD"}
    assert expect.handler(money, CONTEXT) == {"outcome": "expected", "code": ""}
    assert post.handler(posting(3, RAIL, ALICE, 60) | {"is_expected": True}, CONTEXT) == posted
    hold = {"transfer_id": trf(2), "account_id": ALICE, "amount": 60, "currency": "USD"}
    assert reserve.handler(hold, CONTEXT) == {"outcome": "held", "code": "", "at": at, "amount": 60}
    settled = {"outcome": "settled", "code": "", "at": at, "amount": 60}
    assert settle.handler({"transfer_id": trf(2), "destination_account_id": BOB}, CONTEXT) == settled
    assert release.handler({"transfer_id": trf(2)}, CONTEXT) == settled


@pytest.mark.parametrize("amount", [0, -1, 1.5, "x", None, 10**15 + 1])
def test_an_invalid_request_raises_and_changes_nothing(world: World, table: MemoryTable, amount: object) -> None:
    before = table.items()
    with pytest.raises(TaskFailed, match=r"^accounts-post$"):
        post.handler(posting(1, RAIL, ALICE, amount), CONTEXT)
    assert table.items() == before


def batch(table: MemoryTable) -> dict[str, Any]:
    """Return the new pending credits, as the table's stream delivers them."""
    inserted = [new for old, new in table.changes if old is None and new is not None and new["pk"].startswith("I#")]
    return {
        "Records": [
            {
                "eventName": "INSERT",
                "dynamodb": {
                    "Keys": {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
                    "SequenceNumber": str(100 + number),
                },
            }
            for number, item in enumerate(inserted)
        ]
    }


def test_the_stream_leads_to_folding(world: World, table: MemoryTable) -> None:
    for number in range(5):
        world.fund(ALICE, 10, number)
    post.handler(posting(6, ALICE, FEES, 20), CONTEXT)
    assert fold.handler(batch(table), CONTEXT) == {"batchItemFailures": []}
    snapshot = Snapshot.of(table.items())
    snapshot.check()
    assert snapshot.pending == []
    assert [len(snapshot.journals[name]) for name in (RAIL, FEES)] == [1, 1]
    before = table.items()
    assert fold.handler(batch(table), CONTEXT) == {"batchItemFailures": []}
    assert table.items() == before


def test_only_the_records_of_a_failed_account_are_delivered_again(world: World, table: MemoryTable) -> None:
    world.fund(ALICE, 30, 1)
    post.handler(posting(2, ALICE, FEES, 20), CONTEXT)
    world.fund(ALICE, 30, 3)

    def hook(call: Call) -> None:
        if call.operation == "get" and RAIL in call.keys[0][0]:
            raise OSError

    table.hook = hook
    failures = fold.handler(batch(table), CONTEXT)["batchItemFailures"]
    assert failures == [{"itemIdentifier": "100"}, {"itemIdentifier": "102"}]
    table.hook = None
    assert world.head(FEES)["posted"] == 20
    fold.handler(batch(table), CONTEXT)
    snapshot = Snapshot.of(table.items())
    snapshot.check()
    assert snapshot.pending == []


def test_what_each_use_case_costs() -> None:
    """Limits, alerts and events add nothing to the cost of a posting."""
    assert {cost.name: (cost.calls, cost.units) for cost in costs()} == {
        "post": (2, 10),
        "post under limits and an alert": (2, 10),
        "post with a low-balance event": (2, 10),
        "post from a rail": (2, 8),
        "post to a rail": (2, 8),
        "post called again": (1, 0),
        "decline for funds": (2, 1),
        "decline by a limit with an event": (2, 4),
        "later decline by a limit": (2, 1),
        "refuse": (1, 1),
        "expect": (2, 6),
        "expect called again": (1, 0),
        "post what was expected": (2, 8),
        "refuse what was expected": (1, 4),
        "reserve": (2, 6),
        "reserve that lapses": (2, 6),
        "reserve with a low-balance event": (2, 6),
        "reserve declined by a limit with an event": (2, 4),
        "settle": (3, 10),
        "settle in part": (3, 10),
        "settle called again": (1, 0),
        "release": (3, 6),
        "lapse": (3, 6),
        "set limits": (2, 1),
        "set the same limits": (1, 0),
    }


def test_the_head_of_an_account_stays_within_a_kilobyte(world: World, table: MemoryTable) -> None:
    """A larger head would cost two more units per posting. Its name has a hundred letters here."""
    world.fund(ALICE, 10**15)
    world.set_limits(ALICE, 10**14, 10**15)
    world.set_alert(ALICE, 10**14)
    world.set_credit(ALICE, 10**15)
    post.handler(posting(1, ALICE, BOB, 10**14), CONTEXT)
    post.handler(posting(2, ALICE, BOB, 10**15), CONTEXT)
    head = world.head(ALICE)
    assert {"day", "day_told", "week_told", "daily_limit", "weekly_limit", "low_balance_alert"} <= set(head)
    table.put(
        {
            **head,
            "name": "x" * 100,
            "pin": "x" * 100,
            "hot": True,
            "posted": -(10**17),
            "available": 10**17,
            "hot_until": head["line_at"],
            "fold": 10**8,
            "clean": 10**8,
            "incoming": 10**4,
        }
    )
    assert table.calls[-1].units == 1
    table.put(head)


def test_what_each_task_costs(world: World, table: MemoryTable) -> None:
    """Calls to the table, and write units as AWS counts them (two per KB in a transaction)."""
    world.fund(ALICE, 1000, 1)
    world.fund(BOB, 1000, 2)

    def cost(run: Any, request: dict[str, Any]) -> tuple[int, int]:
        before = len(table.calls)
        run(request, CONTEXT)
        calls = table.calls[before:]
        return len(calls), sum(call.units for call in calls)

    hold = {"transfer_id": trf(5), "account_id": ALICE, "amount": 60, "currency": "USD"}
    assert cost(post.handler, posting(3, ALICE, BOB, 10)) == (2, 10)
    assert cost(post.handler, posting(4, RAIL, BOB, 10)) == (2, 8)
    assert cost(post.handler, posting(4, RAIL, BOB, 10)) == (1, 0)
    assert cost(post.handler, posting(9, ALICE, BOB, 10**9)) == (2, 1)
    assert cost(refuse.handler, {"transfer_id": trf(8), "outcome": "failed"}) == (1, 1)
    assert cost(reserve.handler, hold) == (2, 6)
    assert cost(settle.handler, {"transfer_id": trf(5), "destination_account_id": BOB}) == (3, 10)
    assert cost(release.handler, {"transfer_id": trf(5)}) == (1, 0)
