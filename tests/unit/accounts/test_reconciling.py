"""Reconciling a table in motion: what stays wrong is reported and published once, what is in motion is not."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from common.contracts.accounts import Expect, ExpectOutcome, Post, Reserve
from common.dynamo import Item, Put, Update

from functions.accounts.service import reconciliation
from functions.accounts.service.reconciliation import INSPECTIONS, PAUSE_SECONDS, Reconciliation
from functions.accounts.store.reconciliation import ReconciliationStore
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.drawing import draw
from tests.unit.accounts.ledger.model import Fold, SetStatus
from tests.unit.accounts.ledger.world import ALICE, BOB, CAROL, EVA, RAIL, SHARDS, once, trf
from tests.unit.accounts.ledger.world import World as LedgerWorld

HEAD = (f"A#{ALICE}", "H")


class World(LedgerWorld):
    """A ledger with some money, and its reconciliation an hour later."""

    def __init__(self) -> None:
        self.memory = MemoryTable()
        super().__init__(self.memory)
        for account_id, currency in ((ALICE, "USD"), (BOB, "USD"), (CAROL, "USD"), (EVA, "EUR")):
            owned = {"pk": f"U#usr_{account_id[4:]}"}
            self.table.put({**owned, "sk": f"A#{account_id}"})
            self.table.put({**owned, "sk": f"D#{currency}", "account_id": account_id})
        self.fund(ALICE, 1000)
        self.fund(CAROL, 1000, 9001)
        self.folding.fold(RAIL, SHARDS)
        self.ledger.post(Post(trf(1), ALICE, BOB, 400, "USD"))
        self.ledger.reserve(Reserve(trf(101), ALICE, 50, "USD"))
        self.clock.advance(hours=1)
        self.waits: list[float] = []
        self.meanwhile: dict[int, Callable[[], object]] = {}
        self.store = ReconciliationStore(self.table)
        self.reconciliation = Reconciliation(self.store, self.clock, self.wait)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds=seconds)
        self.meanwhile.get(len(self.waits), lambda: None)()

    def drift(self, cents: int = 1, key: tuple[str, str] = HEAD, name: str = "posted") -> None:
        self.table.update(Update(key, add={name: cents}))

    def reports(self) -> list[Item]:
        return list(self.table.query("R#reconciliation", before="latest"))


@pytest.fixture
def world() -> World:
    return World()


def test_a_correct_ledger_needs_one_inspection(world: World) -> None:
    report = world.reconciliation.run()
    assert (report.accounts, report.entries, report.unread, report.drifts) == (5, 7, 0, ())
    assert world.waits == []
    (kept,) = world.reports()
    assert (kept["number"], kept["accounts"], kept["entries"], kept["drifts"], kept["findings"]) == (1, 5, 7, 0, [])
    assert kept["sk"] == world.now()
    assert kept["expires_at"] == int((world.clock() + timedelta(days=400)).timestamp())
    assert "outbox" not in kept


def test_a_drift_is_checked_again_stored_and_published(world: World) -> None:
    world.drift()
    report = world.reconciliation.run()
    assert {(drift.number, drift.id) for drift in report.drifts} == {(1, "USD"), (2, ALICE), (3, ALICE)}
    assert world.waits == [PAUSE_SECONDS] * (INSPECTIONS - 1)
    (kept,) = world.reports()
    assert kept["drifts"] == 3
    assert kept["findings"][1] == {
        "number": 2,
        "title": "Balances follow the journal",
        "id": ALICE,
        "what": "has posted 601 and held 50, its journal 600 and 50",
    }
    (event,) = json.loads(kept["outbox"])
    assert (event["type"], event["subject"], event["sequence"]) == ("ledger.drifted", "ledger", 1)
    assert event["data"]["drifts"] == 3
    assert event["data"]["accounts"] == 5
    assert event["data"]["entries"] == 7
    assert event["data"]["findings"][1] == {
        "invariant": "Balances follow the journal",
        "id": ALICE,
        "what": "has posted 601 and held 50, its journal 600 and 50",
    }


def test_a_drift_is_published_once_and_again_when_the_drifts_change(world: World) -> None:
    published = []
    for cents, account_id in ((1, ALICE), (1, ALICE), (1, BOB), (-1, BOB), (-2, ALICE), (1, ALICE)):
        world.drift(cents, (f"A#{account_id}", "H"))
        world.reconciliation.run()
        world.clock.advance(hours=1)
        published.append("outbox" in world.reports()[-1])
    assert published == [True, False, True, True, False, True]
    assert [report["number"] for report in world.reports()] == [1, 2, 3, 4, 5, 6]


def test_an_expectation_that_is_not_counted_is_a_drift(world: World) -> None:
    world.ledger.expect(Expect(trf(301), ALICE, 5, "USD"))
    world.clock.advance(hours=1)
    assert world.reconciliation.run().drifts == ()
    world.drift(name="incoming")
    (drift,) = world.reconciliation.run().drifts
    assert (drift.number, drift.id, drift.what) == (3, ALICE, "expects 2 payments, its open expectations are 1")


def test_an_expectation_during_every_inspection_is_no_drift(world: World) -> None:
    """Each is made after its partition could be read and before the head is read."""
    numbers = iter(range(301, 310))

    class ExpectationsFirst(Random):
        def shuffle(self, x: list[str]) -> None:  # type: ignore[override]
            x.sort(reverse=True)

    def work() -> None:
        world.ledger.expect(Expect(trf(next(numbers)), ALICE, 5, "USD"))

    class Store(BusyStore):
        def items(self) -> Iterator[Item]:
            for item in super().items():
                if (item["pk"], item["sk"]) == HEAD:
                    work()
                    yield self._items.get(HEAD) or {}
                else:
                    yield item

    store = Store(world.memory, lambda: None, ExpectationsFirst())
    assert Reconciliation(store, world.clock, world.wait).run().drifts == ()
    assert world.waits == [PAUSE_SECONDS]


def test_money_that_is_expected_for_long_is_reported_and_is_no_drift(world: World) -> None:
    world.ledger.expect(Expect(trf(301), ALICE, 5, "USD"))
    at = world.now()
    world.clock.advance(days=2, hours=1)
    report = world.reconciliation.run()
    assert report.drifts == ()
    assert report.overdue == ((ALICE, f"expects money of {trf(301)} since {at}"),)


@pytest.mark.parametrize("pause", [1, 2])
def test_a_violation_that_goes_away_is_no_drift(world: World, pause: int) -> None:
    world.drift()
    world.drift(1, (f"S#{trf(101)}", "hold"), "amount")
    world.meanwhile[pause] = lambda: (world.drift(-1), world.drift(-1, (f"S#{trf(101)}", "hold"), "amount"))
    assert world.reconciliation.run().drifts == ()
    assert len(world.waits) == pause


def test_what_goes_wrong_meanwhile_is_in_the_next_report(world: World) -> None:
    world.drift()
    world.meanwhile[1] = lambda: world.drift(1, (f"A#{BOB}", "H"))
    world.meanwhile[2] = lambda: world.drift(1, (f"S#{trf(101)}", "hold"), "amount")
    assert {drift.id for drift in world.reconciliation.run().drifts} == {"USD", ALICE}
    found = {(drift.number, drift.id) for drift in world.reconciliation.run().drifts}
    assert found == {(1, "USD"), (2, ALICE), (2, BOB), (3, ALICE), (3, BOB), (4, trf(101))}


def test_a_disagreement_of_two_items_is_named_by_the_second_inspection(world: World) -> None:
    world.drift(1, (f"S#{trf(1)}", "post"), "legs_of_nobody")
    legs = [{"account_id": ALICE, "change": -399}, {"account_id": BOB, "change": 399}]
    world.table.update(Update((f"S#{trf(1)}", "post"), set={"legs": legs}))
    assert {(drift.number, drift.id) for drift in world.reconciliation.run().drifts} == {(4, trf(1))}


def test_a_report_is_dropped_if_another_one_has_its_number(world: World) -> None:
    world.reconciliation.run()
    world.drift()
    latest = {"pk": "R#reconciliation", "sk": "latest", "number": 2, "digest": ""}

    def write_other_report() -> None:
        world.table.transact([Put(latest)])

    once(world.memory, "transact", "before", write_other_report)
    assert world.reconciliation.run().drifts != ()
    assert [report["number"] for report in world.reports()] == [1]


class BusyStore(ReconciliationStore):
    """Reads partition by partition, as a scan does, while the ledger is at work."""

    def __init__(self, table: MemoryTable, work: Callable[[], object], order: Random) -> None:
        super().__init__(table)
        self._items = table
        self._work = work
        self._order = order

    def items(self) -> Iterator[Item]:
        partitions = sorted({item["pk"] for item in self._items.items()})
        self._order.shuffle(partitions)
        for pk in partitions:
            self._work()
            yield from self._items.query(pk)

    def account(self, account_id: str) -> Iterator[Item]:
        for item in super().account(account_id):
            yield item
            self._work()


@pytest.mark.parametrize("seed", range(20))
def test_a_table_in_motion_has_no_drifts_and_a_wrong_cent_is_found(world: World, seed: int) -> None:
    random, held = Random(seed), [trf(101)]
    expected: list[Expect] = []

    def work() -> None:
        operation = draw(random, held, expected)
        # A credit that is folded while the table is read may be seen twice or never, and only the accounts service
        # moves the default of a closed account.
        if isinstance(operation, Fold | SetStatus):
            return
        with suppress(ValueError):
            if world.run(operation) == ExpectOutcome("expected") and isinstance(operation, Expect):
                expected.append(operation)
        if isinstance(operation, Reserve):
            held.append(operation.transfer_id)

    for _ in range(60):
        work()
    world.folding.fold(RAIL, SHARDS)
    world.clock.advance(hours=1)
    busy = Reconciliation(BusyStore(world.memory, work, random), world.clock, world.wait)
    assert busy.run().drifts == ()
    world.clock.advance(hours=1)
    world.drift(name="held")
    assert (2, ALICE) in {(drift.number, drift.id) for drift in busy.run().drifts}


def test_accounts_that_keep_changing_are_left_to_the_next_report(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "_RECHECKED_ACCOUNTS", 0)
    numbers = iter(range(2, 50))

    def work() -> None:
        world.clock.advance(minutes=5)
        world.ledger.post(Post(trf(next(numbers)), BOB, ALICE, 1, "USD"))

    class JournalsFirst(Random):
        def shuffle(self, x: list[str]) -> None:  # type: ignore[override]
            x.sort(reverse=True)

    report = Reconciliation(BusyStore(world.memory, work, JournalsFirst()), world.clock, world.wait).run()
    assert (report.unread, report.drifts) == (2, ())
    assert world.reports()[-1]["unread"] == 2
