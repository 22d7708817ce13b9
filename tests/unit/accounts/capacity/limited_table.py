"""DynamoDB's limits, in virtual time, over the in-memory table.

A partition key has 1,000 write units and 3,000 read units a second and hardly any burst (no adaptive capacity). A write
takes a unit per KB, two in a transaction, whether or not it has an effect. A write to an item of a transaction in
flight is refused with TransactionConflict. Refused and throttled calls are retried as by `common.dynamo` and botocore.
Calls take milliseconds, with jitter.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

from common.dynamo import Item, Key, Put, Update, Where, Write
from common.errors import Contended

from tests.support import memory_table
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.capacity.simulation import Simulation

size = memory_table._size

WRITES, READS = 1000.0, 3000.0
"""Units per second and partition key."""

_BURST_SECONDS = 0.1
_ATTEMPTS = 8
_NETWORK = 0.0015
_READ, _WRITE, _TRANSACTION = 0.002, 0.003, 0.009
_ITEM, _KILOBYTE = 0.0003, 0.00003


class Budget:
    """The units left to a partition key. They refill at a rate, and are negative after a call that took too many."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._left = rate * _BURST_SECONDS
        self._at = 0.0

    def has_some(self, now: float) -> bool:
        self._left = min(self._rate * _BURST_SECONDS, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left > 0

    def take(self, units: float) -> None:
        self._left -= units


class LimitedTable(MemoryTable):
    """The table. `written` counts units by partition key and second, `conflicts` and `throttles` refusals by kind.

    `on_change` is called with every change.
    """

    def __init__(self, simulation: Simulation, seed: int, on_change: Callable[[Key, Item | None], None]) -> None:
        super().__init__()
        self._on_change = on_change
        self.written: Counter[tuple[str, int]] = Counter()
        self.conflicts: Counter[str] = Counter()
        self.throttles: Counter[str] = Counter()
        self._simulation = simulation
        self._random = Random(seed)
        self._in_flight: set[Key] = set()
        self._writes: dict[str, Budget] = defaultdict(lambda: Budget(WRITES))
        self._reads: dict[str, Budget] = defaultdict(lambda: Budget(READS))
        self._partitions: dict[str, dict[str, Item]] = defaultdict(dict)

    # --- reads

    def get(self, key: Key) -> Item | None:
        return self.batch_get([key]).get(key)

    def batch_get(self, keys: Iterable[Key]) -> dict[Key, Item]:
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, Item] = {}
        for attempt in range(_ATTEMPTS):
            if not wanted:
                return found
            self._call(attempt, _READ)
            throttled = [key for key in wanted if not self._has_units(key[0], self._reads)]
            for key in wanted:
                if key not in throttled:
                    item = self._read(key)
                    self._count_read(key[0], _kilobytes(item) / 4)
                    found |= {key: item} if item is not None else {}
            wanted = throttled
        raise Contended

    def query(
        self,
        pk: str,
        *,
        begins: str | None = None,
        between: tuple[str, str] | None = None,
        before: str | None = None,
        after: str | None = None,
        index: tuple[str, str, str] | None = None,
        limit: int | None = None,
        descending: bool = False,
        where: Where = (),
    ) -> Iterator[Item]:
        """Query whole partitions, as folding does, in pages of `limit`."""
        assert not (begins or between or before or after or index)
        last = ""
        most = limit or 1000
        while True:
            self._wait_for_units([pk], self._reads, _READ)
            sorts = sorted(
                (sk for sk in self._partitions[pk] if not last or (sk < last if descending else sk > last)),
                reverse=descending,
            )[:most]
            page = [memory_table._copy(self._partitions[pk][sk]) for sk in sorts]
            read = sum(map(size, page))
            self._count_read(pk, read / 4096)
            self._simulation.sleep(_KILOBYTE * read / 1024)
            yield from (item for item in page if memory_table._holds(item, where))
            if len(page) < most:
                return
            last = sorts[-1]

    # --- writes

    def transact(self, writes: Sequence[Write]) -> None:
        keys = [memory_table._key_of(write) for write in writes]
        units = [2 * self._units(write) for write in writes]
        for attempt in range(_ATTEMPTS):
            self._call(attempt, 0)
            throttled = [key for key in keys if not self._has_units(key[0], self._writes)]
            if throttled:
                continue
            for key, each in zip(keys, units, strict=True):
                self._count_written(key[0], each)
            if self._conflicts_with(keys):
                continue
            self._in_flight |= {*keys}
            self._simulation.sleep(self._jitter(_TRANSACTION + _ITEM * len(keys) + _KILOBYTE * sum(units)))
            try:
                super().transact(writes)
            finally:
                self._in_flight -= {*keys}
                self._simulation.sleep(_NETWORK)
            return
        raise Contended

    def batch_delete(self, keys: Iterable[Key]) -> None:
        left = list(keys)
        for attempt in range(_ATTEMPTS):
            if not left:
                return
            self._call(attempt, _WRITE + _ITEM * len(left))
            throttled = []
            for key in left:
                if self._has_units(key[0], self._writes):
                    self._count_written(key[0], _kilobytes(self._rows.get(key)))
                    self._store(key, None)
                else:
                    throttled.append(key)
            left = throttled
        if left:
            raise Contended

    def _single(self, operation: str, write: Any) -> Item | None:
        key = memory_table._key_of(write)
        for attempt in range(_ATTEMPTS):
            self._call(attempt, _WRITE)
            if not self._has_units(key[0], self._writes):
                continue
            self._count_written(key[0], self._units(write))
            if not self._conflicts_with([key]):
                return super()._single(operation, write)
        raise Contended

    def _store(self, key: Key, item: Item | None) -> int:
        if item is None:
            self._partitions[key[0]].pop(key[1], None)
        else:
            self._partitions[key[0]][key[1]] = item
        self._on_change(key, item)
        return super()._store(key, item)

    # --- limits

    def pause(self, attempt: int) -> None:
        """Wait as `common.retry.pause` does."""
        if attempt:
            self._simulation.sleep(self._random.uniform(0, min(0.02 * 2**attempt, 0.5)))

    def _call(self, attempt: int, seconds: float) -> None:
        self.pause(attempt)
        self._simulation.sleep(self._jitter(_NETWORK + seconds))

    def _wait_for_units(self, pks: list[str], budgets: dict[str, Budget], seconds: float) -> None:
        for attempt in range(_ATTEMPTS):
            self._call(attempt, seconds)
            if all(self._has_units(pk, budgets) for pk in pks):
                return
        raise Contended

    def _has_units(self, pk: str, budgets: dict[str, Budget]) -> bool:
        allowed = budgets[pk].has_some(self._simulation.now)
        if not allowed:
            self.throttles[pk[0]] += 1
        return allowed

    def _conflicts_with(self, keys: Sequence[Key]) -> bool:
        conflicting = [key for key in keys if key in self._in_flight]
        self.conflicts.update(key[0][0] for key in conflicting)
        return bool(conflicting)

    def _count_written(self, pk: str, units: float) -> None:
        self.written[pk, int(self._simulation.now)] += int(units)
        self._writes[pk].take(units)

    def _count_read(self, pk: str, units: float) -> None:
        self._reads[pk].take(max(1, -int(-units // 1)))

    def _jitter(self, seconds: float) -> float:
        return seconds * self._random.uniform(0.7, 1.6)

    def _units(self, write: Write) -> int:
        match write:
            case Put():
                return _kilobytes(write.item)
            case Update():
                return _kilobytes({**self._rows.get(write.key, {}), **write.set})
            case _:
                raise NotImplementedError


def _kilobytes(item: Item | None) -> int:
    return max(1, -(-size(item) // 1024))
