"""An in-memory `common.dynamo.Table` with the same methods, conditions and atomicity, and a hook for faults.

tests/store/support runs the same tests on this table and on moto, so that both are known to behave alike.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Literal

from botocore.exceptions import ClientError
from common.dynamo import (
    CONDITION,
    CONFLICT,
    Cancelled,
    Check,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Put,
    Reason,
    Table,
    Update,
    Where,
    Write,
    decode,
    encode,
)
from common.errors import Contended

_ATTEMPTS = 8
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "begins": str.startswith,
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MAX_ITEM = 400 * 1024
_MAX_TRANSACTION = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the table: `get batch_get put update delete transact query batch_delete scan`, and its keys.

    A query has its partition and the empty string as key. `units` are the write units, known after the call. As on AWS,
    the keys of a batch of reads are read one by one: `between` is the moment before each but the first.
    """

    moment: Literal["before", "between", "after"]
    operation: str
    keys: tuple[Key, ...]
    units: int = 0


Hook = Callable[[Call], None]


class Conflict(Exception):
    """Raised by a hook before `transact`: the writes at `positions` (None: all) conflict with another transaction.

    As on AWS, the other writes still check their conditions. If none fails, the table calls the hook and tries again,
    and raises Contended after eight attempts.
    """

    def __init__(self, *positions: int) -> None:
        super().__init__("TransactionConflict")
        self.positions = positions or None


def throttled(operation: str = "TransactWriteItems") -> ClientError:
    """Return the error of a throttled call once botocore's retries are spent. The call changed nothing."""
    error: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "throttled"}}
    return ClientError(error, operation)


class MemoryTable(Table):
    """A thread-safe table in memory.

    `hook` is called before and after each call, outside the lock, and its exceptions reach the caller: before a call,
    as a fault without effect; after it, as a lost reply. A hook can also write to the table, as another process would.
    `chunk` is the size of a batch of deletes and `page` the size of a page of a query; each is a call of its own.
    Indexes project keys only and are never stale.
    """

    def __init__(self, name: str = "memory", *, hook: Hook | None = None, chunk: int = 25, page: int = 1000) -> None:
        super().__init__(None, name)
        self.hook = hook
        self.calls: list[Call] = []
        self.changes: list[tuple[Item | None, Item | None]] = []
        """The changes as the table's stream delivers them: the item before and after."""
        self._chunk = chunk
        self._page = page
        self._rows: dict[Key, Item] = {}
        self._lock = RLock()

    def items(self) -> list[Item]:
        """Return every item in the order of keys, without calling the hook."""
        with self._lock:
            return [_copy(self._rows[key]) for key in sorted(self._rows)]

    def get(self, key: Key) -> Item | None:
        self._before("get", [key])
        with self._lock:
            found = self._read(key)
        self._after("get", [key])
        return found

    def batch_get(self, keys: Iterable[Key]) -> dict[Key, Item]:
        wanted = list(dict.fromkeys(keys))
        _require(len(wanted) <= 100, "too many keys")
        if not wanted:
            return {}
        self._before("batch_get", wanted)
        found: dict[Key, Item] = {}
        for key in wanted:
            if self.hook and key != wanted[0]:
                self.hook(Call("between", "batch_get", (key,)))
            with self._lock:
                item = self._read(key)
            if item is not None:
                found[key] = item
        self._after("batch_get", wanted)
        return found

    def put(self, item: Item, where: Where = ()) -> None:
        self._single("put", Put(item, where))

    def update(self, update: Update) -> Item:
        after = self._single("update", update)
        assert after is not None
        return _copy(after)

    def delete(self, key: Key, where: Where = ()) -> None:
        self._single("delete", Delete(key, where))

    def transact(self, writes: Sequence[Write]) -> None:
        keys = [_key_of(write) for write in writes]
        _require(1 <= len(keys) <= 100, "a transaction takes 1 to 100 items")
        _require(len(set(keys)) == len(keys), "a transaction may not touch one item twice")
        for _ in range(_ATTEMPTS):
            conflicting: Iterable[int] = ()
            try:
                self._before("transact", keys)
            except Conflict as conflict:
                conflicting = range(len(keys)) if conflict.positions is None else conflict.positions
            with self._lock:
                reasons = [self._reason(write) for write in writes]
                for position in conflicting:
                    reasons[position] = Reason(CONFLICT, None)
                if any(reason.failed for reason in reasons):
                    raise Cancelled(reasons)
                if conflicting:
                    continue
                outcome = [(key, _applied(write, self._rows.get(key))) for key, write in zip(keys, writes, strict=True)]
                _require(sum(map(_size, (item for _, item in outcome))) <= _MAX_TRANSACTION, "transaction too large")
                units = 2 * sum(self._store(key, item) for key, item in outcome)
            self._after("transact", keys, units)
            return
        raise Contended

    def batch_delete(self, keys: Iterable[Key]) -> None:
        left = list(keys)
        _require(len(set(left)) == len(left), "a batch may not name one item twice")
        while left:
            chunk, left = left[: self._chunk], left[self._chunk :]
            self._before("batch_delete", chunk)
            with self._lock:
                units = sum(self._store(key, None) for key in chunk)
            self._after("batch_delete", chunk, units)

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
        _require(between is None or between[0] <= between[1], "a BETWEEN has its lower bound first")
        _require(sum(bound is not None for bound in (begins, between, before, after)) <= 1, "one bound on the sort key")
        _, hash_key, range_key = index or ("", "pk", "sk")
        _require(not {hash_key, range_key} & {term[0] for term in where}, "a filter is not on the key")

        def within(sort: Any) -> bool:
            return (
                (begins is None or sort.startswith(begins))
                and (between is None or between[0] <= sort <= between[1])
                and (before is None or sort < before)
                and (after is None or sort > after)
            )

        last: tuple[Any, ...] | None = None
        size = limit or self._page
        while True:
            self._before("query", [(pk, "")])
            with self._lock:
                rows = sorted(
                    (
                        ((item[range_key], item["pk"], item["sk"]), item)
                        for item in self._rows.values()
                        if item.get(hash_key) == pk and range_key in item and within(item[range_key])
                    ),
                    key=lambda row: row[0],
                    reverse=descending,
                )
                if last is not None:
                    start = last
                    rows = [row for row in rows if (row[0] < start if descending else row[0] > start)]
                page = [(place, _copy(item)) for place, item in rows[:size]]
            self._after("query", [(pk, "")])
            for _, item in page:
                seen = {name: item[name] for name in {"pk", "sk", hash_key, range_key}} if index else item
                if _holds(seen, where):
                    yield seen
            if len(page) < size:
                return
            last = page[-1][0]

    def scan(self) -> Iterator[Item]:
        self._before("scan", [])
        items = self.items()
        self._after("scan", [])
        yield from items

    def _single(self, operation: str, write: Put | Update | Delete) -> Item | None:
        key = _key_of(write)
        self._before(operation, [key])
        with self._lock:
            reason = self._reason(write)
            if reason.failed:
                raise ConditionFailed(reason.old)
            after = _applied(write, self._rows.get(key))
            units = self._store(key, after)
        self._after(operation, [key], units)
        return after

    def _before(self, operation: str, keys: Sequence[Key]) -> None:
        if self.hook:
            self.hook(Call("before", operation, tuple(keys)))

    def _after(self, operation: str, keys: Sequence[Key], units: int = 0) -> None:
        call = Call("after", operation, tuple(keys), units)
        self.calls.append(call)
        if self.hook:
            self.hook(call)

    def _read(self, key: Key) -> Item | None:
        item = self._rows.get(key)
        return None if item is None else _copy(item)

    def _reason(self, write: Write) -> Reason:
        old = self._read(_key_of(write))
        return Reason("None", None) if _holds(old or {}, write.where) else Reason(CONDITION, old)

    def _store(self, key: Key, item: Item | None) -> int:
        """Store or delete an item, and return the write units of that outside a transaction."""
        old = self._rows.get(key)
        size = max(_size(old), _size(item))
        if item != old:
            self.changes.append((old, item))
        if item is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = item
        return max(1, -(-size // 1024))


def _copy(item: Item) -> Item:
    return decode(encode(item))


def _key_of(write: Write) -> Key:
    key = (write.item["pk"], write.item["sk"]) if isinstance(write, Put) else write.key
    _require(all(isinstance(part, str) and part for part in key), "keys are text and not empty")
    return key


def _applied(write: Write, old: Item | None) -> Item | None:
    """Return the item after a write."""
    match write:
        case Put():
            after: Item | None = _copy(write.item)
        case Update():
            after = _updated(write, old)
        case Delete():
            after = None
        case Check():
            after = old
    _require(_size(after) <= _MAX_ITEM, "item too large")
    return after


def _updated(update: Update, old: Item | None) -> Item:
    named = [*update.set, *update.set_if_absent, *update.add, *update.remove]
    _require(bool(named), "an update changes something")
    _require(len(set(named)) == len(named), "an update names an attribute once")
    _require(not {"pk", "sk"} & set(named), "an update leaves the key alone")
    item: Item = _copy(old) if old is not None else {"pk": update.key[0], "sk": update.key[1]}
    absent = {name: value for name, value in update.set_if_absent.items() if name not in item}
    item |= _copy({**update.set, **absent})
    for name, change in update.add.items():
        number = item.get(name, 0)
        _require(type(number) is int, "only numbers are added to")
        item[name] = number + change
    for name in update.remove:
        item.pop(name, None)
    return item


def _holds(item: Item, where: Where) -> bool:
    return all(_term(item, *term) for term in where)


def _term(item: Item, attribute: str, sign: str, value: Any) -> bool:
    present = attribute in item
    if sign == "absent":
        return not present
    if sign == "present":
        return present
    if sign.startswith("absent or "):
        return not present or _term(item, attribute, sign.removeprefix("absent or "), value)
    found = item.get(attribute)
    if not present or type(found) is not type(value):
        # As on AWS, `<>` is true for a missing attribute or one of another type.
        return sign == "<>"
    return bool(_OPERATORS[sign](found, value))


def _size(item: Item | None) -> int:
    """Return about the bytes that DynamoDB counts: names and values, with half a byte per digit of a number."""
    return 0 if item is None else sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Any) -> int:
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return len(str(abs(value))) // 2 + 2
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return 3 + len(value) + _size(value)
    if isinstance(value, list):
        return 3 + sum(1 + _value_size(each) for each in value)
    return len(value)


def _require(held: bool, rule: str) -> None:
    """Raise what stands for a ValidationException of AWS, unless the rule holds."""
    if not held:
        raise ValueError(rule)
