"""GET /v1/accounts/{account_id}/entries, as API Gateway invokes it."""

from typing import Any

import pytest
from common.contracts.accounts import Post, Reserve
from common.http import request as http_request
from common.keys import Keyring

from functions.accounts.api import account_entries
from tests.support.memory_table import MemoryTable
from tests.support.rest import Answer, event, principal, send
from tests.unit.accounts.ledger.world import ALICE, BOB, RAIL, SHARDS, STRANGER, World, trf

OWNER = f"usr_{ALICE[4:]}"
OTHER = f"usr_{BOB[4:]}"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(MemoryTable())
    monkeypatch.setattr(account_entries, "journal", lambda: world.journal)
    monkeypatch.setattr(http_request, "keyring", lambda purpose: Keyring({"1": purpose.encode()}))
    world.fund(ALICE, 1000)
    for number in range(1, 5):
        world.clock.advance(seconds=1)
        world.ledger.post(Post(trf(number), ALICE, BOB, 10 * number, "USD", f"lunch {number}"))
    world.ledger.reserve(Reserve(trf(5), ALICE, 5, "USD"))
    return world


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


def test_an_entry_shows_what_a_transfer_changed(world: World) -> None:
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


def test_holds_are_not_entries(world: World) -> None:
    answer = entries()
    assert versions(answer) == [5, 4, 3, 2, 1]
    assert answer.json["next_cursor"] is None
    assert answer.json["data"][-1]["direction"] == "credit"


def test_every_entry_is_on_one_page(world: World) -> None:
    seen: list[int] = []
    cursor: Any = None
    for _ in range(3):
        answer = entries(limit="2", **({"cursor": cursor} if cursor else {}))
        seen += versions(answer)
        cursor = answer.json["next_cursor"]
    assert seen == [5, 4, 3, 2, 1] and cursor is None


def test_new_entries_do_not_shift_later_pages(world: World) -> None:
    cursor = entries(limit="2").json["next_cursor"]
    world.fund(ALICE, 1, 9001)
    assert versions(entries(limit="2", cursor=cursor)) == [3, 2]


def test_from_is_inclusive_and_to_exclusive(world: World) -> None:
    assert versions(entries(from_="2026-11-21T09:30:01.000Z", to="2026-11-21T09:30:03Z")) == [3, 2]
    assert versions(entries(from_="2026-11-21T10:30:01+01:00")) == [5, 4, 3, 2]
    assert versions(entries(from_="2026-11-22T00:00:00Z", to="2026-11-21T00:00:00Z")) == []


def test_pages_of_one_direction(world: World) -> None:
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
def test_invalid_queries(world: World, query: dict[str, Any]) -> None:
    answer = entries(**query)
    assert (answer.status, answer.code) == (400, "validation_failed")


def test_a_cursor_is_valid_for_its_own_list_only(world: World) -> None:
    cursor = entries(limit="2").json["next_cursor"]
    assert entries(cursor=cursor, direction="debit").code == "invalid_cursor"
    assert entries(cursor=cursor, caller=OTHER, role="admin").code == "invalid_cursor"
    assert entries(cursor="AAAA").code == "invalid_cursor"


def test_strangers_and_system_accounts_are_not_found(world: World) -> None:
    world.folding.fold(RAIL, SHARDS)
    assert entries(caller=OTHER).status == 404
    assert entries(caller=OTHER, role="arbiter").status == 404
    assert entries(STRANGER).status == 404
    assert entries(STRANGER, role="admin").status == 404
    assert entries(RAIL, role="admin").status == 404
    assert entries("acc_1").status == 404
    assert versions(entries(caller=OTHER, role="admin")) == [5, 4, 3, 2, 1]


def test_an_account_without_entries_has_an_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = World(MemoryTable())
    monkeypatch.setattr(account_entries, "journal", lambda: fresh.journal)
    assert entries().json == {"data": [], "next_cursor": None}
