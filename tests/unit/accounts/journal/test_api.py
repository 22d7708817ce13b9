"""GET /v1/accounts/{account_id}/balance and /statement, as API Gateway invokes them."""

import csv
import io
from typing import Any

import pytest

from functions.accounts.api import account_balance, account_statement
from functions.accounts.service.journal import Journal
from functions.accounts.store.journal import JournalStore
from tests.support.memory_table import MemoryTable
from tests.support.rest import Answer, event, principal, send
from tests.unit.accounts.journal.world import ACCOUNT, OTHER, OWNER, World

DAY = {"from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(MemoryTable())
    world.name("Ada", "Lovelace")
    world.line(1000)
    world.clock.advance(hours=1)
    world.line(-300, description="=lunch")
    world.line(held=100, step="reserve")
    world.head()
    for module in (account_balance, account_statement):
        monkeypatch.setattr(module, "journal", lambda: Journal(JournalStore(world.table), world.clock))
    return world


def get(
    what: Any,
    query: dict[str, Any] | None = None,
    *,
    account_id: str = ACCOUNT,
    caller: str = OWNER,
    role: str = "customer",
    accept: str | None = None,
    method: str = "GET",
) -> Answer:
    resource = "/accounts/{account_id}/" + what.__name__.rpartition("_")[2]
    request = event(
        method,
        resource,
        caller=principal(caller, role),
        query=query,
        path={"account_id": account_id},
        headers={"Accept": accept} if accept else {},
    )
    return send(what.handler, request)


def test_the_balance_now_and_then(world: World) -> None:
    now = get(account_balance)
    assert now.status == 200
    assert now.json == {
        "posted": 700,
        "held": 100,
        "available": 600,
        "currency": "USD",
        "at": "2026-11-21T10:30:00.000Z",
    }
    then = get(account_balance, {"at": "2026-11-21T11:00:00+01:00"})
    assert then.json == {
        "posted": 1000,
        "held": 0,
        "available": 1000,
        "currency": "USD",
        "at": "2026-11-21T10:00:00.000Z",
    }


@pytest.mark.parametrize(
    "query", [{"at": "yesterday"}, {"at": ""}, {"at": ["2026-11-21T09:30:00Z"] * 2}, {"moment": "x"}]
)
def test_invalid_times_of_a_balance(world: World, query: dict[str, Any]) -> None:
    assert get(account_balance, query).code == "validation_failed"


def test_a_time_in_the_future_is_refused(world: World) -> None:
    refused = get(account_balance, {"at": "2026-11-21T10:30:00.001Z"})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (400, "/query/at")


@pytest.mark.parametrize(("what", "query"), [(account_balance, {}), (account_statement, DAY)])
def test_accounts_of_others_are_not_found(world: World, what: Any, query: dict[str, Any]) -> None:
    for caller, role in ((OTHER, "customer"), (OTHER, "arbiter")):
        assert get(what, query, caller=caller, role=role).code == "not_found"
    for account_id in ("acc_1", "rail:sandbox:USD", f"acc_{'0' * 25}Z"):
        assert get(what, query, account_id=account_id, role="admin").status == 404
    assert get(what, query, caller=OTHER, role="admin").status == 200
    assert get(what, query, method="POST").status == 405


def test_a_statement_in_json(world: World) -> None:
    answer = get(account_statement, DAY)
    assert answer.headers["content-type"] == ["application/json"]
    assert "content-disposition" not in answer.headers
    body = answer.json
    assert (body["opening"], body["closing"], body["closing_at"]) == (0, 700, "2026-11-21T10:30:00.000Z")
    assert (body["from"], body["to"], body["holder"]) == (
        "2026-11-21T00:00:00.000Z",
        "2026-11-22T00:00:00.000Z",
        "Ada Lovelace",
    )
    assert [line["amount"] for line in body["lines"]] == [1000, 300]
    assert "since" not in body and "until" not in body


def test_a_statement_in_csv(world: World) -> None:
    answer = get(account_statement, {**DAY, "format": "csv"})
    assert answer.headers["content-type"][0].startswith("text/csv")
    name = f"statement_{ACCOUNT}_2026-11-21_2026-11-22.csv"
    assert answer.headers["content-disposition"] == [f'attachment; filename="{name}"']
    assert [row["description"] for row in csv.DictReader(io.StringIO(answer.text))][2] == "'=lunch"


def test_a_statement_in_pdf_is_ascii_text(world: World) -> None:
    answer = get(account_statement, {**DAY, "format": "pdf"}, accept="*/*")
    assert answer.headers["content-type"] == ["application/pdf"]
    assert answer.headers["content-disposition"][0].endswith('.pdf"')
    assert answer.text.startswith("%PDF-") and answer.text.isascii()


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ({}, "text/csv", "text/csv"),
        ({}, "application/pdf", "application/pdf"),
        ({}, "image/png", "application/json"),
        ({"format": "json"}, "application/pdf", "application/json"),
        ({"format": "pdf"}, "application/json", "application/pdf"),
    ],
)
def test_the_query_overrides_the_accept_header(
    world: World, query: dict[str, str], accept: str, content_type: str
) -> None:
    answer = get(account_statement, {**DAY, **query}, accept=accept)
    assert answer.headers["content-type"][0].startswith(content_type)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({}, "/query/from"),
        ({"from": DAY["from"]}, "/query/to"),
        ({"to": DAY["to"]}, "/query/from"),
        ({**DAY, "format": "xml"}, "/query/format"),
        ({**DAY, "format": ""}, "/query/format"),
        ({**DAY, "from": "today"}, "/query/from"),
        ({**DAY, "limit": "5"}, "/query/limit"),
        ({**DAY, "to": "2026-11-21T00:00:00Z"}, "/query/to"),
        ({**DAY, "to": "2027-11-23T00:00:00Z"}, "/query/to"),
        ({"from": "2026-11-21T10:30:01Z", "to": "2026-11-22T00:00:00Z"}, "/query/from"),
    ],
)
def test_invalid_queries_of_a_statement(world: World, query: dict[str, str], pointer: str) -> None:
    answer = get(account_statement, query, accept="application/pdf")
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert answer.json["errors"][0]["pointer"] == pointer


def test_a_refusal_is_a_problem_document_in_every_format(world: World) -> None:
    answer = get(account_statement, {**DAY, "format": "pdf"}, caller=OTHER)
    assert (answer.status, answer.headers["content-type"]) == (404, ["application/problem+json"])


def test_a_corrupt_journal_is_an_internal_error(world: World) -> None:
    item = next(item for item in world.table.query(f"E#{ACCOUNT}"))
    world.table.put({**item, "posted": 1_000_000})
    answer = get(account_statement, DAY)
    assert (answer.status, answer.code) == (500, "internal_error")
