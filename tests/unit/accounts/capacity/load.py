"""One account is paid thousands of times a second while its owner pays from it: `make capacity` prints the results.

The real ledger, folding and stores run over a table with DynamoDB's limits, in virtual time.
"""

import zlib
from collections import defaultdict, deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase
from threading import get_ident
from typing import Any, NamedTuple
from unittest import mock

from common.contracts.accounts import Post
from common.dynamo import Item, Key
from common.errors import Contended
from common.ids import derived_id

from functions.accounts.domain import ledger
from functions.accounts.events import fold
from functions.accounts.service.folding import Folding
from functions.accounts.service.ledger import Ledger
from functions.accounts.store.folding import FoldingStore, batch_of
from functions.accounts.store.ledger import LedgerStore
from tests.support import memory_table
from tests.support.rest import CONTEXT
from tests.unit.accounts.capacity.limited_table import LimitedTable
from tests.unit.accounts.capacity.simulation import Core, Simulation
from tests.unit.accounts.ledger.snapshot import Snapshot

OPENED = "2026-11-21T09:29:00.000Z"
SHOP = f"acc_{'S' * 26}"
# The shop begins with little money, so it pays from its credits.
OPENING, PRICE = 1000, 7
DEBITS_A_SECOND = 20
"""How often each payer of the shop pays, if it does not have to wait."""
PAYOUT_WORKERS = 3

_CREDIT_WORKERS = 400
_STREAM_SHARDS = 16
_RECORDS_PER_BATCH = 1000
_STREAM_SECONDS, _POLL_SECONDS, _INVOKE_SECONDS = 0.05, 0.25, 0.01
"""Until a change is in the stream, between two polls, and until the function runs."""
_CONCURRENT_CALLS, _CPU_SECONDS_PER_CALL = 10, 0.002
"""Of a folder."""


@dataclass(frozen=True)
class Load:
    """The credits, and the settings of the account."""

    name: str
    credits_a_second: int
    seconds: float
    hot: bool = True
    shards: int = ledger.PENDING_SHARDS
    letters: int = 0
    """The number of random letters in each description."""


class Outcome(NamedTuple):
    """The result of a load; times are in seconds."""

    load: Load
    committed: int
    gave_up: int
    per_second: float
    answered: Sequence[float]
    booked: Sequence[float]
    paid: int
    declined: int
    batches: int
    busiest: dict[str, int]
    """Write units of the busiest key in its busiest second: head, journal and pending credits."""
    conflicts: int
    throttles: int
    snapshot: Snapshot

    def within(self, share: float, times: Sequence[float]) -> float:
        return sorted(times)[int(share * (len(times) - 1))] if times else 0.0


class Run:
    """One run of a load."""

    def __init__(self, load: Load, seed: int) -> None:
        self.load = load
        self.random = Random(seed)
        self.simulation = Simulation()
        self.table = LimitedTable(self.simulation, seed, self._record)
        self.committed_at: dict[Key, float] = {}
        self.booked: list[float] = []
        self.answered: list[float] = []
        self.ended: list[float] = []
        self.paid = self.declined = self.gave_up = 0
        self.busy = _CREDIT_WORKERS + PAYOUT_WORKERS
        self.lanes: dict[int, deque[tuple[float, Key]]] = defaultdict(deque)
        self.folders: dict[int, Folding] = {}
        self.credits = int(load.credits_a_second * load.seconds)
        self.arrivals = deque(each / load.credits_a_second for each in range(self.credits))

    def outcome(self) -> Outcome:
        """Run until every credit is committed or given up, and folded."""
        self._open()
        with ExitStack() as stack:
            # No code here changes what it read, and the limited table computes sizes itself.
            stack.enter_context(mock.patch.object(memory_table, "_copy", dict))
            stack.enter_context(mock.patch.object(memory_table, "_size", lambda item: 0))
            stack.enter_context(mock.patch.object(ledger, "PENDING_SHARDS", self.load.shards))
            stack.enter_context(mock.patch.object(fold, "folding", lambda: self.folders[get_ident()]))
            for lane in range(_STREAM_SHARDS):
                self.simulation.start(lambda lane=lane: self._fold(lane))
            for _ in range(_CREDIT_WORKERS):
                self.simulation.start(self._credit)
            for worker in range(PAYOUT_WORKERS):
                self.simulation.start(lambda worker=worker: self._debit(f"payout {worker}"))
            self.simulation.run()
        elapsed = max(self.ended)
        busiest = {
            kind: max((units for (pk, _), units in self.table.written.items() if pk.startswith(prefix)), default=0)
            for kind, prefix in (("head", f"A#{SHOP}"), ("journal", f"E#{SHOP}"), ("pending", f"I#{SHOP}"))
        }
        return Outcome(
            load=self.load,
            committed=len(self.ended),
            gave_up=self.gave_up,
            per_second=len(self.ended) / elapsed,
            answered=self.answered,
            booked=self.booked,
            paid=self.paid,
            declined=self.declined,
            batches=sum("page" in item for item in self.table._partitions[f"E#{SHOP}"].values()),
            busiest=busiest,
            conflicts=sum(self.table.conflicts.values()),
            throttles=sum(self.table.throttles.values()),
            snapshot=Snapshot.of(self.table.items()),
        )

    # --- workers

    def _credit(self) -> None:
        """One process of the ledger's function, which makes one posting after the other."""
        ledger_ = self._ledger()
        while self.arrivals:
            number = self.credits - len(self.arrivals)
            due = self.arrivals.popleft()
            if self.load.seconds < self.simulation.now:
                # Not begun in time.
                self.gave_up += 1
                continue
            self.simulation.sleep(max(0.0, due - self.simulation.now))
            # Realistic ids and random texts: batches are compressed, and random text does not compress.
            transfer_id = derived_id("trf", self.simulation.clock(), f"{number}")
            description = f"order {number} " + "".join(self.random.choices(ascii_lowercase, k=self.load.letters))
            request = Post(transfer_id, _payer(number), SHOP, PRICE, "USD", description)
            began = self.simulation.now
            try:
                assert ledger_.post(request).outcome == "posted"
            except Contended:
                self.gave_up += 1
                continue
            self.ended.append(self.simulation.now)
            self.answered.append(self.simulation.now - began)
        self.busy -= 1

    def _debit(self, step: str) -> None:
        """Pay from the shop now and then: often its whole balance, sometimes more."""
        ledger_ = self._ledger()
        number = 0
        while self.simulation.now < self.load.seconds:
            number += 1
            self.simulation.sleep(self.random.expovariate(DEBITS_A_SECOND))
            there = self.table._rows[f"A#{SHOP}", "H"]["available"]
            amount = max(1, int(there * self.random.choice([0.01, 0.1, 0.5, 1, 1, 1.01, 2])))
            request = Post(f"trf_{number:026}", SHOP, _payer(number), amount, "USD", step=step)
            try:
                outcome = ledger_.post(request)
            except Contended:
                continue
            self.paid += outcome.outcome == "posted"
            self.declined += outcome.code == "insufficient_funds"
        self.busy -= 1

    def _fold(self, lane: int) -> None:
        """Poll one shard of the table's stream and invoke the function, as Lambda does."""
        self.folders[get_ident()] = self._folding()
        records = self.lanes[lane]
        self.simulation.sleep(self.random.uniform(0, _POLL_SECONDS))
        while self.busy or records:
            visible = self.simulation.now - _STREAM_SECONDS
            batch = []
            while records and records[0][0] <= visible and len(batch) < _RECORDS_PER_BATCH:
                batch.append(records.popleft())
            if not batch:
                self.simulation.sleep(_POLL_SECONDS)
                continue
            self.simulation.sleep(_INVOKE_SECONDS)
            failed = {each["itemIdentifier"] for each in fold.handler(_event(batch), CONTEXT)["batchItemFailures"]}
            records.extendleft(reversed([each for place, each in enumerate(batch) if str(place) in failed]))

    # --- wiring

    def _ledger(self) -> Ledger:
        return Ledger(LedgerStore(self.table), self.simulation.clock, self._folding().fold_all, self.table.pause)

    def _folding(self) -> Folding:
        core = Core(self.simulation, _CPU_SECONDS_PER_CALL)
        store = FoldingStore(self.table, self.simulation.concurrent_map(core, _CONCURRENT_CALLS))
        return Folding(store, self.simulation.clock, self.table.pause)

    def _record(self, key: Key, item: Item | None) -> None:
        now = self.simulation.now
        if key[0].startswith("I#") and item is not None:
            self.committed_at[key] = now
            self.lanes[zlib.crc32(key[0].encode()) % _STREAM_SHARDS].append((now, key))
        elif key[0].startswith("E#") and item is not None and "page" in item:
            batch = batch_of(item)
            for credit in batch.credits:
                pending = f"I#{batch.account_id}#{credit.shard:02}", f"{credit.transfer_id}#{credit.step}"
                self.booked.append(now - self.committed_at[pending])

    def _open(self) -> None:
        """Write the shop and its payers, whose money came from a rail earlier."""
        self._put(SHOP, OPENING, hot=self.load.hot)
        for number in range(self.credits):
            self._put(_payer(number), PRICE)

    def _put(self, account_id: str, posted: int, *, hot: bool = False) -> None:
        opening = f"trf_{account_id[4:]}"
        known = {"account_id": account_id, "currency": "USD", "held": 0, "posted": posted, "version": 1}
        head = {"owner_id": f"usr_{account_id[4:]}", "name": "Main", "type": "debit", "status": "active", "hot": hot}
        head |= known | {"available": posted, "credit_limit": 0, "line_at": OPENED, "created_at": OPENED}
        line = known | {
            "at": OPENED,
            "posted_change": posted,
            "held_change": 0,
            "transfer_id": opening,
            "step": "opening",
        }
        line |= {"entry_id": f"ent_{account_id[4:]}", "description": ""}
        rail = {"account_id": "rail:bank:USD", "transfer_id": opening, "step": "opening", "change": -posted, "shard": 0}
        legs = [{"account_id": account_id, "change": posted}, {"account_id": rail["account_id"], "change": -posted}]
        result = {"transfer_id": opening, "step": "opening", "outcome": "posted", "code": "", "legs": legs}
        self.table._partitions[f"A#{account_id}"]["H"] = self._row(f"A#{account_id}", "H", head)
        self._row(f"E#{account_id}", f"{OPENED}#{1:012}", line)
        self._row(f"S#{opening}", "opening", result)
        self._row(f"I#{rail['account_id']}#00", f"{opening}#opening", rail | {"currency": "USD"})

    def _row(self, pk: str, sk: str, item: dict[str, Any]) -> Item:
        row = {"pk": pk, "sk": sk, **item}
        self.table._rows[pk, sk] = row
        return row


def _payer(number: int) -> str:
    return f"acc_{number:026}"


def _event(batch: Sequence[tuple[float, Key]]) -> dict[str, Any]:
    return {
        "Records": [
            {"dynamodb": {"Keys": {"pk": {"S": key[0]}, "sk": {"S": key[1]}}, "SequenceNumber": str(place)}}
            for place, (_, key) in enumerate(batch)
        ]
    }


def run(load: Load, seed: int = 0) -> Outcome:
    return Run(load, seed).outcome()


LOADS = [
    Load("an ordinary account", 5000, 1, hot=False),
    *(Load(f"hot, {shards} of 32 shards", 5000, 1, shards=shards) for shards in (4, 8, 16)),
    Load("hot", 5000, 3),
    Load("hot", 100, 3),
    Load("hot, 500 letters each", 1000, 1, letters=485),
    Load("hot, 500 letters each", 5000, 1, letters=485),
]


def main() -> None:
    """Print the table."""
    print(
        f"{'account':<24}{'sent/s':>8}{'done/s':>8}{'lost':>7}{'answer p50':>11}{'p99':>7}{'booked p50':>11}"
        f"{'last':>7}{'batches':>8}{'credits':>8}{'debits':>7}{'head':>6}{'journal':>8}{'pending':>8}{'conflicts':>10}{'throttles':>10}"
    )
    for load in LOADS:
        each = run(load)
        each.snapshot.check()
        print(
            f"{load.name:<24}{load.credits_a_second:>8}{each.per_second:>8.0f}{each.gave_up:>7}"
            f"{1000 * each.within(0.5, each.answered):>8.0f} ms{1000 * each.within(0.99, each.answered):>7.0f}"
            f"{1000 * each.within(0.5, each.booked):>8.0f} ms{1000 * each.within(1, each.booked):>7.0f}"
            f"{each.batches:>8}{len(each.booked) / max(1, each.batches):>8.0f}{each.paid:>7}"
            f"{each.busiest['head']:>6}{each.busiest['journal']:>8}{each.busiest['pending']:>8}"
            f"{each.conflicts:>10}{each.throttles:>10}",
            flush=True,
        )
    print("head, journal, pending: write units of the busiest key in its busiest second, of 1,000. Times are virtual.")


if __name__ == "__main__":
    main()
