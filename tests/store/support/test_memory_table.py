"""The in-memory table is one with moto's and with AWS's engine: the same calls give the same answers and items."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from common.dynamo import ABSENT, Cancelled, Check, ConditionFailed, Delete, Item, Key, Put, Table, Update, Where, Write
from common.errors import Contended
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.support.dynamodb_local import ENGINE
from tests.support.memory_table import Call, Conflict, MemoryTable
from tests.support.tables import create_table

KEYS = st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "y1", "z"]))
VALUES = st.one_of(st.integers(-2, 2), st.sampled_from(["", "p", "q", "qr"]), st.booleans(), st.none())


def _is_not_none(value: object) -> bool:
    return value is not None


ON_ENGINE = ENGINE in os.environ
NAMES = st.sampled_from(["n", "status", "values"])
ORDERS = st.sampled_from(["<", "<=", ">", ">=", "absent or <", "absent or >="])
TEXTS = st.sampled_from(["", "p", "q", "qr"])
ATTRIBUTES = st.fixed_dictionaries({}, optional={"n": st.integers(-2, 2), "status": TEXTS, "values": VALUES})
TERMS: st.SearchStrategy[tuple[str, str, Any]] = st.one_of(
    st.tuples(st.sampled_from(["pk", "n", "status"]), st.sampled_from(["absent", "present"]), st.none()),
    # moto takes what is not there for null; AWS does not.
    st.tuples(
        NAMES,
        st.sampled_from(["=", "<>", "absent or =", "absent or <>"]),
        VALUES if ON_ENGINE else VALUES.filter(_is_not_none),
    ),
    # Only values of one kind are in an order: across kinds AWS says no, and moto fails.
    st.tuples(NAMES if ON_ENGINE else st.just("n"), ORDERS, st.integers(-2, 2)),
    st.tuples(NAMES if ON_ENGINE else st.just("status"), ORDERS, st.sampled_from(["p", "q"])),
    st.tuples(NAMES, st.just("begins"), st.sampled_from(["p", "q"])),
)
WHERE: st.SearchStrategy[Where] = st.lists(TERMS, max_size=3)
FILTER: st.SearchStrategy[Where] = st.lists(TERMS.filter(lambda term: term[0] != "pk"), max_size=3)


def _item(key: Key, attributes: dict[str, Any]) -> Item:
    return {"pk": key[0], "sk": key[1], **attributes}


ITEMS = st.builds(_item, KEYS, ATTRIBUTES)
PUTS = st.builds(Put, ITEMS, WHERE)
UPDATES = st.builds(
    Update,
    KEYS,
    set=st.fixed_dictionaries({"n": st.integers(-2, 2)}),
    set_if_absent=st.one_of(st.just({}), st.fixed_dictionaries({"status": TEXTS})),
    add=st.one_of(st.just({}), st.fixed_dictionaries({"count": st.integers(-2, 2)})),
    remove=st.sampled_from([(), ("values",)]),
    where=WHERE,
)
DELETES = st.builds(Delete, KEYS, WHERE)
CHECKS = st.builds(Check, KEYS, st.lists(TERMS, min_size=1, max_size=2))
BOUNDS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"begins": st.just("y")}),
    st.fixed_dictionaries({"between": st.sampled_from([("x", "y"), ("y", "y1"), ("y0", "zz")])}),
    st.fixed_dictionaries({"before": st.just("y1")}),
    st.fixed_dictionaries({"after": st.just("y")}),
)


def _key_of(write: Write) -> Key:
    return (write.item["pk"], write.item["sk"]) if isinstance(write, Put) else write.key


Run = Callable[[Table], Any]
RUNS: st.SearchStrategy[Run] = st.one_of(
    KEYS.map(lambda key: lambda table: table.get(key)),
    st.lists(KEYS, max_size=4).map(lambda keys: lambda table: table.batch_get(keys)),
    PUTS.map(lambda put: lambda table: table.put(put.item, put.where)),
    UPDATES.map(lambda update: lambda table: table.update(update)),
    DELETES.map(lambda delete: lambda table: table.delete(delete.key, delete.where)),
    st.lists(st.one_of(PUTS, UPDATES, DELETES, CHECKS), min_size=1, max_size=4, unique_by=_key_of).map(
        lambda writes: lambda table: table.transact(writes)
    ),
    st.lists(KEYS, max_size=3, unique=True).map(lambda keys: lambda table: table.batch_delete(keys)),
    st.tuples(BOUNDS, st.sampled_from([None, 1, 2]), st.booleans(), FILTER).map(
        lambda how: lambda table: list(table.query("a", limit=how[1], descending=how[2], where=how[3], **how[0]))
    ),
)


def _outcome(run: Run, table: Table) -> object:
    try:
        return run(table)
    except ConditionFailed as failed:
        return "failed", failed.old
    except Cancelled as cancelled:
        return "cancelled", [(reason.failed, reason.old if reason.failed else None) for reason in cancelled.reasons]


@pytest.fixture(scope="module")
def real_table() -> Iterator[Table]:
    with mock_aws():
        client = boto3.client("dynamodb")
        yield Table(client, create_table(client, "accounts"))


@settings(max_examples=60, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck))
@given(st.lists(RUNS, min_size=4, max_size=25))
def test_it_does_what_the_real_one_does(real_table: Table, runs: list[Run]) -> None:
    real_table.batch_delete([(item["pk"], item["sk"]) for item in real_table.scan()])
    memory = MemoryTable(chunk=2, page=3)
    for run in runs:
        assert _outcome(run, memory) == _outcome(run, real_table)
        assert memory.items() == sorted(real_table.scan(), key=lambda item: (item["pk"], item["sk"]))


def test_indexes_hold_keys_of_those_that_have_them() -> None:
    with mock_aws():
        client = boto3.client("dynamodb")
        for table in (Table(client, create_table(client, "transfers")), MemoryTable()):
            for number in (2, 1, 3):
                table.put({"pk": f"T#{number}", "sk": "R", "due_shard": "00", "due_at": f"t{number}", "status": "p"})
            table.put({"pk": "T#4", "sk": "R", "due_shard": "00"})
            found = list(table.query("00", index=("due", "due_shard", "due_at"), before="t3"))
            assert found == [{"pk": f"T#{n}", "sk": "R", "due_shard": "00", "due_at": f"t{n}"} for n in (1, 2)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda table: table.transact([]),
        lambda table: table.transact([Put({"pk": "a", "sk": "b"}), Delete(("a", "b"))]),
        lambda table: table.transact([Put({"pk": "a", "sk": str(n)}) for n in range(101)]),
        lambda table: table.put({"pk": "a", "sk": ""}),
        lambda table: table.put({"pk": "a", "sk": "b", "text": "x" * 400 * 1024}),
        lambda table: table.update(Update(("a", "b"))),
        lambda table: table.update(Update(("a", "b"), set={"n": 1}, add={"n": 1})),
        lambda table: table.update(Update(("a", "b"), set={"sk": "c"})),
        lambda table: table.batch_delete([("a", "b"), ("a", "b")]),
        lambda table: list(table.query("a", begins="x", before="y")),
        lambda table: list(table.query("a", where=ABSENT)),
    ],
)
def test_it_refuses_what_aws_refuses(wrong: Run, real_table: Table) -> None:
    table = MemoryTable()
    with pytest.raises(ValueError, match=r"\w"):
        wrong(table)
    assert table.items() == []
    if ON_ENGINE:  # moto lets some of it pass
        real_table.batch_delete([(item["pk"], item["sk"]) for item in real_table.scan()])
        with pytest.raises((ClientError, BotoCoreError)):
            wrong(real_table)
        assert list(real_table.scan()) == []


def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError):
        MemoryTable().put({"pk": "a", "sk": "b", "n": 1.5})


def test_items_are_copies() -> None:
    table = MemoryTable()
    item: Item = {"pk": "a", "sk": "b", "list": [1]}
    table.put(item)
    item["list"].append(2)
    found = table.get(("a", "b"))
    assert found == {"pk": "a", "sk": "b", "list": [1]}
    found["list"].append(3)
    assert table.items() == [{"pk": "a", "sk": "b", "list": [1]}]
    assert table.changes == [(None, {"pk": "a", "sk": "b", "list": [1]})]


class _Fault(Exception):
    pass


@pytest.mark.parametrize(("moment", "written"), [("before", []), ("after", [{"pk": "a", "sk": "b"}])])
def test_a_fault_before_has_no_effect_and_one_after_has(moment: str, written: list[Item]) -> None:
    def hook(call: Call) -> None:
        if call.moment == moment:
            raise _Fault

    table = MemoryTable(hook=hook)
    with pytest.raises(_Fault):
        table.transact([Put({"pk": "a", "sk": "b"})])
    assert table.items() == written


def test_a_conflict_passes_or_wears_patience_out() -> None:
    tries = iter(range(3))

    def passing(call: Call) -> None:
        if call.moment == "before" and next(tries, None) is not None:
            raise Conflict

    table = MemoryTable(hook=passing)
    table.transact([Put({"pk": "a", "sk": "b"})])
    assert table.items() == [{"pk": "a", "sk": "b"}]

    def lasting(call: Call) -> None:
        raise Conflict

    table.hook = lasting
    with pytest.raises(Contended):
        table.transact([Put({"pk": "a", "sk": "c"})])


def test_a_conflict_hides_only_its_own_condition() -> None:
    def hook(call: Call) -> None:
        if call.operation == "transact":
            raise Conflict(1)

    table = MemoryTable(hook=hook)
    table.put({"pk": "a", "sk": "b", "n": 1})
    with pytest.raises(Cancelled) as cancelled:
        table.transact([Put({"pk": "a", "sk": "b"}, ABSENT), Put({"pk": "a", "sk": "c"})])
    assert [reason.code for reason in cancelled.value.reasons] == ["ConditionalCheckFailed", "TransactionConflict"]


def test_write_units_are_counted_by_size_and_doubled_in_a_transaction() -> None:
    table = MemoryTable()
    table.put({"pk": "a", "sk": "b", "text": "x" * 2000})
    table.transact([Put({"pk": "a", "sk": "c"}), Delete(("a", "b"))])
    assert [call.units for call in table.calls] == [2, 6]
