"""The capacity of a hot account, on a table with DynamoDB's limits. `make capacity` prints more."""

import pytest

from functions.accounts.domain.ledger import PENDING_SHARDS
from tests.unit.accounts.capacity.limited_table import LimitedTable, size
from tests.unit.accounts.capacity.load import OPENING, PRICE, SHOP, Load, run
from tests.unit.accounts.capacity.simulation import Core, Simulation

pytestmark = pytest.mark.capacity


def test_a_hot_account_takes_5000_credits_a_second_and_books_each_within_a_second() -> None:
    outcome = run(Load("hot", 5000, 2))
    assert (outcome.committed, outcome.gave_up) == (10_000, 0)
    assert outcome.per_second > 4800
    assert len(outcome.booked) == 10_000 and max(outcome.booked) < 1
    assert max(outcome.answered) < 0.2
    assert max(outcome.busiest.values()) < 1000
    outcome.snapshot.check()  # sums, gapless versions, balances after each line, never below zero
    assert outcome.paid > 10, "the owner pays meanwhile"
    debits = sum(
        line["posted_change"] for line in outcome.snapshot.journals[SHOP] if line.get("step", "").startswith("payout")
    )
    assert outcome.snapshot.balances()[SHOP] == (OPENING + 10_000 * PRICE + debits, 0)
    assert not [entry for entry in outcome.snapshot.unfolded() if entry["account_id"] == SHOP]


def test_an_ordinary_account_takes_a_few_dozen_credits_a_second() -> None:
    outcome = run(Load("ordinary", 5000, 1, hot=False))
    assert 0 < outcome.committed < 100 < outcome.gave_up
    outcome.snapshot.check()


def test_too_few_shards_are_throttled() -> None:
    outcome = run(Load("hot, 4 shards", 5000, 1, shards=4))
    assert PENDING_SHARDS == 32 and outcome.throttles > 1000
    assert outcome.per_second < 2500
    outcome.snapshot.check()


def test_time_passes_only_during_sleep() -> None:
    simulation = Simulation()
    seen: list[tuple[str, float]] = []

    def job(name: str, seconds: float) -> None:
        for _ in range(2):
            simulation.sleep(seconds)
            seen.append((name, simulation.now))

    simulation.start(lambda: job("a", 2))
    simulation.start(lambda: job("b", 3))
    simulation.run()
    assert seen == [("a", 2), ("b", 3), ("a", 4), ("b", 6)]


def test_concurrent_calls_share_a_core() -> None:
    simulation = Simulation()
    answers: list[object] = []
    core = Core(simulation, 1)

    def job() -> None:
        answers.extend(simulation.concurrent_map(core, 2)(lambda each: simulation.sleep(10) or each, "abc"))

    simulation.start(job)
    simulation.run()
    assert answers == ["a", "b", "c"] and simulation.now == 22


def test_an_exception_of_a_thread_is_raised() -> None:
    simulation = Simulation()
    simulation.start(lambda: simulation.concurrent_map(Core(simulation, 0), 2)(int, ["1", "x"]))
    with pytest.raises(ValueError, match="x"):
        simulation.run()


def test_a_key_takes_a_thousand_units_a_second() -> None:
    simulation = Simulation()
    table = LimitedTable(simulation, 0, lambda key, item: None)
    items = [{"pk": "I#one", "sk": f"{number}", "text": "x" * 500} for number in range(2000)]
    assert size(items[0]) < 1024
    waiting = iter(items)

    def work() -> None:
        for item in waiting:
            table.put(item)

    for _ in range(20):
        simulation.start(work)
    simulation.run()
    assert 1.8 < simulation.now < 3 and table.throttles["I"] > 0
