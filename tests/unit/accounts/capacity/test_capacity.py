"""What a hot account takes, on a table that has DynamoDB's limits: `make capacity` prints more of it."""

import pytest

from functions.accounts.domain.ledger import INBOX_SHARDS
from tests.unit.accounts.capacity.limited_table import LimitedTable, size
from tests.unit.accounts.capacity.load import OPENING, PRICE, SHOP, Load, run
from tests.unit.accounts.capacity.simulation import Core, Simulation


def test_a_hot_account_takes_5000_credits_a_second_and_books_each_within_a_second() -> None:
    outcome = run(Load("hot", 5000, 2))
    assert (outcome.committed, outcome.gave_up) == (10_000, 0)
    assert outcome.a_second > 4800
    assert len(outcome.booked) == 10_000 and max(outcome.booked) < 1
    assert max(outcome.answered) < 0.2
    assert max(outcome.busiest.values()) < 1000
    outcome.books.check()  # sums, gapless versions, balances after each line, never below zero
    assert outcome.paid > 10, "the owner pays meanwhile"
    debits = sum(
        line["posted_change"] for line in outcome.books.journals[SHOP] if line.get("step", "").startswith("payout")
    )
    assert outcome.books.balances()[SHOP] == (OPENING + 10_000 * PRICE + debits, 0)
    assert not [entry for entry in outcome.books.waiting() if entry["account_id"] == SHOP]


def test_an_ordinary_account_takes_a_few_dozen() -> None:
    outcome = run(Load("ordinary", 5000, 1, hot=False))
    assert 0 < outcome.committed < 100 < outcome.gave_up
    outcome.books.check()


def test_too_few_shards_are_full() -> None:
    outcome = run(Load("hot, 4 shards", 5000, 1, shards=4))
    assert INBOX_SHARDS == 32 and outcome.throttles > 1000
    assert outcome.a_second < 2500
    outcome.books.check()


def test_time_passes_only_in_sleep() -> None:
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


def test_calls_at_once_share_a_processor() -> None:
    simulation = Simulation()
    answers: list[object] = []
    core = Core(simulation, 1)

    def job() -> None:
        answers.extend(simulation.at_once(core, 2)(lambda each: simulation.sleep(10) or each, "abc"))

    simulation.start(job)
    simulation.run()
    assert answers == ["a", "b", "c"] and simulation.now == 22


def test_what_a_thread_raises_is_raised() -> None:
    simulation = Simulation()
    simulation.start(lambda: simulation.at_once(Core(simulation, 0), 2)(int, ["1", "x"]))
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
