"""The table wrapper against moto: conditions, cancellations, queries, integers."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from common.dynamo import ABSENT, PRESENT, Cancelled, Check, ConditionFailed, Delete, Put, Table, Update, decode, encode
from common.errors import Contended
from common.retry import ATTEMPTS
from moto import mock_aws

from tests.support.tables import create_table


@pytest.fixture
def table() -> Iterator[Table]:
    with mock_aws():
        client = boto3.client("dynamodb")
        yield Table(client, create_table(client, "transfers"))


def test_items_survive_the_way_there_and_back(table: Table) -> None:
    item = {
        "pk": "a",
        "sk": "b",
        "n": 10**30,
        "s": "\u00e9",
        "t": True,
        "z": None,
        "b": b"\x00",
        "m": {"l": [1, "x", {}]},
    }
    table.put(item)
    assert table.get(("a", "b")) == item
    assert table.get(("a", "c")) is None


@pytest.mark.parametrize("value", [1.5, Decimal(1), {1}, object()])
def test_what_does_not_go_into_a_table(value: object) -> None:
    with pytest.raises(TypeError):
        encode({"x": value})


def test_numbers_come_back_as_integers() -> None:
    assert decode({"n": {"N": "12345678901234567890"}}) == {"n": 12345678901234567890}


def test_a_conditional_put_shows_what_was_in_the_way(table: Table) -> None:
    table.put({"pk": "a", "sk": "b", "n": 1}, ABSENT)
    with pytest.raises(ConditionFailed) as refused:
        table.put({"pk": "a", "sk": "b", "n": 2}, ABSENT)
    assert refused.value.old == {"pk": "a", "sk": "b", "n": 1}


def test_updates(table: Table) -> None:
    table.put({"pk": "a", "sk": "b", "n": 1, "status": "x", "gone": 1})
    change = Update(
        ("a", "b"),
        set={"status": "y"},
        set_if_absent={"n": 9, "m": 2},
        add={"k": 3},
        remove=["gone"],
        where=[("n", "=", 1)],
    )
    assert table.update(change) == {"pk": "a", "sk": "b", "n": 1, "m": 2, "k": 3, "status": "y"}
    with pytest.raises(ConditionFailed):
        table.update(Update(("a", "b"), set={"status": "z"}, where=[("n", "<>", 1)]))
    with pytest.raises(ConditionFailed) as refused:
        table.update(Update(("a", "zzz"), set={"status": "z"}, where=PRESENT))
    assert refused.value.old is None


@pytest.mark.parametrize(
    ("operator", "value", "holds"),
    [
        ("=", 5, True),
        ("<>", 5, False),
        ("<", 6, True),
        ("<=", 4, False),
        (">", 4, True),
        (">=", 6, False),
        ("present", None, True),
        ("absent", None, False),
        ("absent or <", 6, True),
        ("absent or >", 6, False),
    ],
)
def test_conditions(table: Table, operator: str, value: int | None, holds: bool) -> None:
    table.put({"pk": "a", "sk": "b", "n": 5})
    if holds:
        table.delete(("a", "b"), [("n", operator, value)])
        assert table.get(("a", "b")) is None
    else:
        with pytest.raises(ConditionFailed):
            table.delete(("a", "b"), [("n", operator, value)])
        assert table.get(("a", "b")) is not None


def test_a_transaction_is_all_or_nothing_and_says_why(table: Table) -> None:
    table.put({"pk": "a", "sk": "b", "n": 1})
    writes = [
        Put({"pk": "new", "sk": "x"}, ABSENT),
        Update(("a", "b"), set={"n": 2}, where=[("n", "=", 7)]),
        Check(("a", "other"), ABSENT),
        Delete(("nothing", "here")),
    ]
    with pytest.raises(Cancelled) as cancelled:
        table.transact(writes)
    assert [reason.failed for reason in cancelled.value.reasons] == [False, True, False, False]
    assert cancelled.value.reasons[1].old == {"pk": "a", "sk": "b", "n": 1}
    assert table.get(("new", "x")) is None


def test_queries_walk_a_partition(table: Table) -> None:
    for number in range(5):
        table.put({"pk": "p", "sk": f"s{number}", "n": number})
    table.put({"pk": "q", "sk": "s9"})

    def found(**options: object) -> list[int]:
        return [item["n"] for item in table.query("p", **options)]  # type: ignore[arg-type]

    assert found() == [0, 1, 2, 3, 4]
    assert found(descending=True, limit=2) == [4, 3, 2, 1, 0]
    assert found(after="s2") == [3, 4]
    assert found(before="s2", descending=True) == [1, 0]
    assert found(between=("s1", "s3")) == [1, 2, 3]
    assert found(begins="s4") == [4]
    assert found(where=[("n", ">", 3)], limit=1) == [4]
    assert len(list(table.scan())) == 6


def test_an_index_holds_only_what_has_its_keys(table: Table) -> None:
    table.put({"pk": "T#1", "sk": "R", "due_shard": "00", "due_at": "2"})
    table.put({"pk": "T#2", "sk": "R", "due_shard": "00", "due_at": "1"})
    table.put({"pk": "T#3", "sk": "R"})
    rows = table.query("00", index=("due", "due_shard", "due_at"), between=("0", "9"))
    assert [row["pk"] for row in rows] == ["T#2", "T#1"]


def test_batches(table: Table) -> None:
    for number in range(60):
        table.put({"pk": "p", "sk": str(number)})
    keys = [("p", str(number)) for number in range(60)]
    assert len(table.batch_get([*keys, ("p", "none"), keys[0]])) == 61 - 1
    table.batch_delete(keys[:59])
    assert [item["sk"] for item in table.query("p")] == ["59"]


# --- retries ----------------------------------------------------------------------------------------------------------


class Flaky:
    """A client whose calls raise or return what `replies` says, in turn; the last is repeated without end."""

    def __init__(self, *replies: object) -> None:
        self.requests: list[dict[str, Any]] = []
        self._replies = replies

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            # A loop without end fails here and not by the time-out of the whole run.
            assert len(self.requests) < 100, "too many calls"
            self.requests.append(request)
            reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
            if isinstance(reply, Exception):
                raise reply
            return reply

        return call


def fault(code: str, *reasons: str) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": code},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(response, "TransactWriteItems")


IN_PROGRESS = fault("TransactionInProgressException")
CONFLICTING = fault("TransactionCanceledException", "TransactionConflict")
COUNT = Update(("a", "b"), add={"tries": 1})
KEYS = [("p", str(number)) for number in range(3)]


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.retry._LONGEST_PAUSE_SECONDS", 0.0)


def tokens(client: Flaky) -> list[str]:
    return [request["ClientRequestToken"] for request in client.requests]


@pytest.mark.usefixtures("_no_pauses")
def test_a_transaction_in_progress_is_retried_under_its_token() -> None:
    client = Flaky(IN_PROGRESS, fault("TransactionConflictException"), {})
    Table(client, "table").transact([COUNT])
    assert len(tokens(client)) == 3
    assert len(set(tokens(client))) == 1


@pytest.mark.usefixtures("_no_pauses")
def test_a_cancelled_transaction_is_retried_under_a_new_token() -> None:
    """Under the old one, AWS would answer with the cancellation for ten minutes."""
    client = Flaky(CONFLICTING, IN_PROGRESS, {})
    Table(client, "table").transact([COUNT])
    first, second, third = tokens(client)
    assert first != second == third


def test_two_calls_have_two_tokens(table: Table) -> None:
    client = Flaky({})
    for _ in range(2):
        Table(client, "table").transact([COUNT])
        table.transact([COUNT])
    assert len(set(tokens(client))) == 2
    assert table.get(("a", "b")) == {"pk": "a", "sk": "b", "tries": 2}


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("error", [IN_PROGRESS, CONFLICTING])
def test_a_transaction_is_not_retried_without_end(error: ClientError) -> None:
    client = Flaky(error)
    with pytest.raises(Contended):
        Table(client, "table").transact([COUNT])
    assert len(client.requests) == ATTEMPTS


@pytest.mark.usefixtures("_no_pauses")
def test_unprocessed_keys_of_a_batch_of_reads_are_read_again() -> None:
    raw = [{"pk": {"S": "p"}, "sk": {"S": str(number)}} for number in range(3)]

    def reply(done: list[dict[str, Any]], left: list[dict[str, Any]]) -> dict[str, Any]:
        return {"Responses": {"table": done}, "UnprocessedKeys": {"table": {"Keys": left}} if left else {}}

    client = Flaky(reply(raw[:1], raw[1:]), reply([], raw[1:]), reply(raw[1:], []))
    assert sorted(Table(client, "table").batch_get(KEYS)) == KEYS
    assert [len(request["RequestItems"]["table"]["Keys"]) for request in client.requests] == [3, 2, 2]
    client = Flaky(reply([], raw))
    with pytest.raises(Contended):
        Table(client, "table").batch_get(KEYS)
    assert len(client.requests) == ATTEMPTS


@pytest.mark.usefixtures("_no_pauses")
def test_unprocessed_keys_of_a_batch_of_deletes_are_deleted_again() -> None:
    deletes = [{"DeleteRequest": {"Key": encode({"pk": pk, "sk": sk})}} for pk, sk in KEYS]
    client = Flaky({"UnprocessedItems": {"table": deletes[1:]}}, {"UnprocessedItems": {"table": deletes[2:]}}, {})
    Table(client, "table").batch_delete(KEYS)
    assert [request["RequestItems"]["table"] for request in client.requests] == [deletes, deletes[1:], deletes[2:]]
    client = Flaky({"UnprocessedItems": {"table": deletes}})
    with pytest.raises(Contended):
        Table(client, "table").batch_delete(KEYS)
    assert len(client.requests) == ATTEMPTS
