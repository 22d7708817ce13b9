"""GET /v1/accounts/{account_id}/entries, as API Gateway calls it."""

from typing import Any

import pytest
from common.tasks import Post, Reserve

from functions.accounts.api import account_entries
from tests.support.memory_table import MemoryTable
from tests.support.rest import Answer, event, principal, send
from tests.unit.accounts.ledger.bench import ALICE, BOB, RAIL, SHARDS, STRANGER, Bench, trf

OWNER = f"usr_{ALICE[4:]}"
OTHER = f"usr_{BOB[4:]}"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(MemoryTable())
    monkeypatch.setattr(account_entries, "service", lambda: bench.journal)
    bench.fund(ALICE, 1000)
    for number in range(1, 5):
        bench.clock.advance(seconds=1)
        bench.ledger.post(Post(trf(number), ALICE, BOB, 10 * number, "USD", f"lunch {number}"))
    bench.ledger.reserve(Reserve(trf(5), ALICE, 5, "USD"))
    return bench


def entries(account_id: str = ALICE, caller: str = OWNER, role: str = "customer", **query: str | list[str]) -> Answer:
    query = {name.rstrip("_"): value for name, value in query.items()}
    request = event(
        "GET",
        "/accounts/{account_id}/entries",
        caller=principal(caller, role),
        query=query,
        path={"account_id": account_id},
    )
    return send(account_entries.handler, request)


def versions(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.text
    return [entry["version"] for entry in answer.json["data"]]


def test_an_entry_tells_what_a_transfer_changed(bench: Bench) -> None:
    answer = entries(limit="1")
    (entry,) = answer.json["data"]
    entry_id: str = entry.pop("id")
    assert entry_id.startswith("ent_")
    assert entry == {
        "version": 5,
        "transfer_id": trf(4),
        "direction": "debit",
        "amount": 40,
        "currency": "USD",
        "balance_after": 900,
        "description": "lunch 4",
        "created_at": "2026-11-21T09:30:04.000Z",
    }


def test_holds_are_no_entries(bench: Bench) -> None:
    answer = entries()
    assert versions(answer) == [5, 4, 3, 2, 1]
    assert answer.json["next_cursor"] is None
    assert answer.json["data"][-1]["direction"] == "credit"


def test_pages_follow_one_another(bench: Bench) -> None:
    seen: list[int] = []
    cursor: Any = None
    for _ in range(3):
        answer = entries(limit="2", **({"cursor": cursor} if cursor else {}))
        seen += versions(answer)
        cursor = answer.json["next_cursor"]
    assert seen == [5, 4, 3, 2, 1] and cursor is None


def test_what_is_booked_meanwhile_shifts_no_page(bench: Bench) -> None:
    cursor = entries(limit="2").json["next_cursor"]
    bench.fund(ALICE, 1, 9001)
    assert versions(entries(limit="2", cursor=cursor)) == [3, 2]


def test_from_is_inclusive_and_to_exclusive(bench: Bench) -> None:
    assert versions(entries(from_="2026-11-21T09:30:01.000Z", to="2026-11-21T09:30:03Z")) == [3, 2]
    assert versions(entries(from_="2026-11-21T10:30:01+01:00")) == [5, 4, 3, 2]
    assert versions(entries(from_="2026-11-22T00:00:00Z", to="2026-11-21T00:00:00Z")) == []


def test_directions_with_pages(bench: Bench) -> None:
    assert versions(entries(direction="credit")) == [1]
    first = entries(direction="debit", limit="3")
    assert versions(first) == [5, 4, 3]
    assert versions(entries(direction="debit", limit="3", cursor=first.json["next_cursor"])) == [2]


@pytest.mark.parametrize(
    "query",
    [
        {"from_": "yesterday"},
        {"to": "2026-11-21T09:30:00"},
        {"from_": "2026-13-01T00:00:00Z"},
        {"direction": "both"},
        {"limit": "0"},
        {"limit": "101"},
        {"limit": ["1", "2"]},
        {"since": "2026-11-21T09:30:00Z"},
        {"page": "2"},
    ],
)
def test_what_is_asked_wrongly(bench: Bench, query: dict[str, Any]) -> None:
    answer = entries(**query)
    assert (answer.status, answer.code) == (400, "validation_failed")


def test_a_cursor_is_good_for_its_list_alone(bench: Bench) -> None:
    cursor = entries(limit="2").json["next_cursor"]
    assert entries(cursor=cursor, direction="debit").code == "invalid_cursor"
    assert entries(cursor=cursor, caller=OTHER, role="admin").code == "invalid_cursor"
    assert entries(cursor="AAAA").code == "invalid_cursor"


def test_strangers_and_system_accounts_are_not_found(bench: Bench) -> None:
    bench.folding.fold(RAIL, SHARDS)
    assert entries(caller=OTHER).status == 404
    assert entries(caller=OTHER, role="arbiter").status == 404
    assert entries(STRANGER).status == 404
    assert entries(STRANGER, role="admin").status == 404
    assert entries(RAIL, role="admin").status == 404
    assert entries("acc_1").status == 404
    assert versions(entries(caller=OTHER, role="admin")) == [5, 4, 3, 2, 1]


def test_an_account_without_entries_has_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Bench(MemoryTable())
    monkeypatch.setattr(account_entries, "service", lambda: fresh.journal)
    assert entries().json == {"data": [], "next_cursor": None}
