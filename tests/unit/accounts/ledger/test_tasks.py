"""The ledger's functions as sagas and the table's stream call them."""

from typing import Any

import pytest
from common.tasks import TaskFailed

from functions.accounts.bootstrap import folding as bootstrap
from functions.accounts.events import fold
from functions.accounts.tasks import post, refuse, release, reserve, settle
from tests.support.memory_table import Call, MemoryTable
from tests.support.rest import CONTEXT
from tests.unit.accounts.ledger.bench import ALICE, BOB, FEES, RAIL, Bench, bench_time, trf
from tests.unit.accounts.ledger.books import Books
from tests.unit.accounts.ledger.costs import costs


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable()


@pytest.fixture
def bench(table: MemoryTable, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(table)
    for module in (post, refuse, reserve, settle, release):
        monkeypatch.setattr(module, "service", lambda: bench.ledger)
    monkeypatch.setattr(fold, "service", lambda: bench.folding)
    return bench


def posting(number: int, source: str, destination: str, amount: object) -> dict[str, Any]:
    return {
        "transfer_id": trf(number),
        "source_account_id": source,
        "destination_account_id": destination,
        "amount": amount,
        "currency": "USD",
    }


def test_tasks_answer_plain_values(bench: Bench) -> None:
    at = bench_time(bench)
    posted = {"outcome": "posted", "code": "", "at": at}
    assert post.handler(posting(1, RAIL, ALICE, 100), CONTEXT) == posted
    assert refuse.handler({"transfer_id": trf(1), "outcome": "failed"}, CONTEXT) == posted
    hold = {"transfer_id": trf(2), "account_id": ALICE, "amount": 60, "currency": "USD"}
    assert reserve.handler(hold, CONTEXT) == {"outcome": "held", "code": "", "at": at, "amount": 60}
    settled = {"outcome": "settled", "code": "", "at": at, "amount": 60}
    assert settle.handler({"transfer_id": trf(2), "destination_account_id": BOB}, CONTEXT) == settled
    assert release.handler({"transfer_id": trf(2)}, CONTEXT) == settled


@pytest.mark.parametrize("amount", [0, -1, 1.5, "x", None, 10**15 + 1])
def test_a_fault_is_raised_and_tells_nothing(bench: Bench, table: MemoryTable, amount: object) -> None:
    before = table.items()
    with pytest.raises(TaskFailed, match=r"^accounts-post$"):
        post.handler(posting(1, RAIL, ALICE, amount), CONTEXT)
    assert table.items() == before


def batch(table: MemoryTable) -> dict[str, Any]:
    """The inserts into inboxes, as the table's stream brings them."""
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


def test_the_stream_brings_what_is_to_be_folded(bench: Bench, table: MemoryTable) -> None:
    for number in range(5):
        bench.fund(ALICE, 10, number)
    post.handler(posting(6, ALICE, FEES, 20), CONTEXT)
    assert fold.handler(batch(table), CONTEXT) == {"batchItemFailures": []}
    books = Books.of(table.items())
    books.check()
    assert books.inbox == []
    assert [len(books.journals[name]) for name in (RAIL, FEES)] == [1, 1]
    before = table.items()
    assert fold.handler(batch(table), CONTEXT) == {"batchItemFailures": []}
    assert table.items() == before


def test_one_account_that_fails_comes_again_alone(bench: Bench, table: MemoryTable) -> None:
    bench.fund(ALICE, 30, 1)
    post.handler(posting(2, ALICE, FEES, 20), CONTEXT)
    bench.fund(ALICE, 30, 3)

    def hook(call: Call) -> None:
        if call.operation == "get" and RAIL in call.keys[0][0]:
            raise OSError

    table.hook = hook
    failures = fold.handler(batch(table), CONTEXT)["batchItemFailures"]
    assert failures == [{"itemIdentifier": "100"}, {"itemIdentifier": "102"}]
    table.hook = None
    assert bench.head(FEES)["posted"] == 20
    fold.handler(batch(table), CONTEXT)
    books = Books.of(table.items())
    books.check()
    assert books.inbox == []


def test_the_pause_between_tries_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("functions.accounts.bootstrap.folding.time.sleep", slept.append)
    for attempt in range(1, 8):
        bootstrap.pause(attempt)
    assert len(slept) == 7 and all(0 <= seconds <= 0.25 for seconds in slept)


def test_what_each_use_case_costs() -> None:
    """Of limits, alerts and events nothing is to be seen in a posting's cost."""
    assert {cost.name: (cost.calls, cost.units) for cost in costs()} == {
        "post": (2, 10),
        "post under limits and an alert": (2, 10),
        "post that tells of a low balance": (2, 10),
        "post from a rail": (2, 8),
        "post to a rail": (2, 8),
        "post asked again": (1, 0),
        "decline for funds": (2, 1),
        "decline by a limit, told": (2, 4),
        "decline by a limit, later": (2, 1),
        "refuse": (1, 1),
        "reserve": (2, 6),
        "reserve that lapses": (2, 6),
        "reserve that tells of a low balance": (2, 6),
        "reserve declined by a limit, told": (2, 4),
        "settle": (3, 10),
        "settle in part": (3, 10),
        "settle asked again": (1, 0),
        "release": (3, 6),
        "lapse": (3, 6),
        "set limits": (2, 1),
        "set the same limits": (1, 0),
    }


def test_an_accounts_head_stays_within_a_kilobyte(bench: Bench, table: MemoryTable) -> None:
    """Beyond it every posting would cost two units more; its name has a hundred letters here."""
    bench.fund(ALICE, 10**15)
    bench.set_limits(ALICE, 10**14, 10**15)
    bench.set_alert(ALICE, 10**14)
    bench.set_credit(ALICE, 10**15)
    post.handler(posting(1, ALICE, BOB, 10**14), CONTEXT)
    post.handler(posting(2, ALICE, BOB, 10**15), CONTEXT)
    head = bench.head(ALICE)
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
        }
    )
    assert table.calls[-1].units == 1
    table.put(head)


def test_what_a_use_case_costs(bench: Bench, table: MemoryTable) -> None:
    """Write units (as AWS counts them: two a KB in a transaction) and calls to the table."""
    bench.fund(ALICE, 1000, 1)
    bench.fund(BOB, 1000, 2)

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
