"""What a user sees of transfers: one, many, and none that are not theirs."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytest
from common import clock
from common.contracts.accounts import Destination
from common.errors import Refusal
from common.idempotency import render

from functions.transfers.domain.history import TransferFilter
from functions.transfers.domain.transfers import Transfer
from functions.transfers.models.resources import PartyResource, TransferResource
from functions.transfers.service import history
from tests.unit.transfers.world import (
    ANN,
    ANN_ACCOUNT,
    ANN_SAVINGS,
    BOB,
    BOB_ACCOUNT,
    BOB_EMAIL,
    BOB_PHONE,
    EVE,
    EVE_ACCOUNT,
    World,
    body_of,
    key_of,
)


def ids_of(world: World, user: str, conditions: TransferFilter = TransferFilter(), **options: Any) -> list[str]:  # noqa: B008 (frozen)
    """The ids of a user's whole list, page by page."""
    return [transfer.id for transfer in walk(world, user, conditions, **options)]


def walk(
    world: World, user: str, conditions: TransferFilter, *, limit: int = 100, scopes: list[str] | None = None
) -> Iterator[Transfer]:
    after = None
    while True:
        page, after = world.history.list(user, conditions, limit, after, scopes)
        assert len(page) <= limit
        yield from page
        if after is None:
            return


def sent(world: World, key: str, **options: Any) -> str:
    world.clock.advance(seconds=10)
    return str(body_of(world.send(key, **options).answer)["id"])


def test_parties_and_admins_see_a_transfer_and_nobody_else(world: World) -> None:
    transfer_id = sent(world, "1")
    assert world.history.get(transfer_id, ANN, is_admin=False).id == transfer_id
    assert world.history.get(transfer_id, BOB, is_admin=False).id == transfer_id
    assert world.history.get(transfer_id, EVE, is_admin=True).id == transfer_id
    for stranger, unknown in ((EVE, transfer_id), (ANN, "trf_01K0000000000000000000000Z")):
        with pytest.raises(Refusal) as hidden:
            world.history.get(unknown, stranger, is_admin=False)
        assert hidden.value.code == "not_found"


def test_ids_are_shown_only_if_they_are_yours_or_you_named_them(world: World) -> None:
    sent(world, "1")
    sent(world, "2", destination=Destination(email=BOB_EMAIL))
    by_account, by_email = [Transfer.from_record(item) for item in world.records()]
    assert TransferResource.of(by_account, ANN).destination.id == BOB_ACCOUNT
    assert TransferResource.of(by_email, ANN).destination == PartyResource("account", None, BOB_EMAIL, "Bob B.")
    for transfer in (by_account, by_email):
        assert ANN_ACCOUNT not in repr(TransferResource.of(transfer, BOB))
        assert TransferResource.of(transfer, BOB).destination.id == BOB_ACCOUNT
        assert BOB_ACCOUNT in repr(TransferResource.of(transfer, EVE, is_admin=True))
        assert ANN_ACCOUNT in repr(TransferResource.of(transfer, EVE, is_admin=True))


def test_a_decline_code_is_hidden_from_the_payee(world: World) -> None:
    world.ledger.decline = "insufficient_funds"
    sent_id = body_of(world.send().answer)["transfer_id"]
    declined = world.history.get(sent_id, ANN, is_admin=False)
    assert TransferResource.of(declined, BOB).decline_code is None
    assert TransferResource.of(declined, ANN).decline_code == "insufficient_funds"
    assert TransferResource.of(declined, EVE, is_admin=True).decline_code == "insufficient_funds"
    assert TransferResource.of(declined, ANN).completed_at is None


def test_lists_are_the_callers_own_newest_first(world: World) -> None:
    first, second = sent(world, "1"), sent(world, "2")
    third = sent(world, "3", caller=EVE, source=EVE_ACCOUNT)
    assert ids_of(world, ANN) == [second, first]
    assert ids_of(world, BOB) == [third, second, first]
    assert ids_of(world, EVE) == [third]
    assert ids_of(world, "usr_01K0000000000000000000000Z") == []


def test_a_transfer_between_own_accounts_is_listed_once(world: World) -> None:
    own = sent(world, "1", destination=Destination(account_id=ANN_SAVINGS))
    other = sent(world, "2")
    assert ids_of(world, ANN) == [other, own]
    assert ids_of(world, ANN, limit=1) == [other, own]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_make_up_the_list(world: World, limit: int) -> None:
    made = [sent(world, f"{n}", source=(ANN_ACCOUNT, ANN_SAVINGS)[n % 2]) for n in range(5)]
    made += [sent(world, "in", caller=BOB, source=BOB_ACCOUNT, destination=Destination(account_id=ANN_ACCOUNT))]
    made += [sent(world, "own", destination=Destination(account_id=ANN_SAVINGS))]
    assert ids_of(world, ANN, limit=limit) == made[::-1]
    savings = TransferFilter(account_id=ANN_SAVINGS)
    assert ids_of(world, ANN, savings, limit=limit) == [made[6], made[3], made[1]]


def test_a_full_last_page_has_no_next(world: World) -> None:
    for n in range(4):
        sent(world, f"{n}")
    page, after = world.history.list(ANN, TransferFilter(), 4)
    assert (len(page), after) == (4, None)


def test_a_hundred_and_one_transfers_make_two_pages(world: World) -> None:
    made = [sent(world, f"{n}") for n in range(101)]
    assert ids_of(world, ANN, limit=100) == made[::-1]


def test_a_page_reads_a_bounded_number_and_has_a_next_position(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MAX_PAGE_WEIGHT", 3)
    rare = sent(world, "rare", amount=7)
    for n in range(8):
        sent(world, f"{n}")
    page, after = world.history.list(ANN, TransferFilter(max_amount=7), 10)
    assert page == []
    assert after is not None
    assert ids_of(world, ANN, TransferFilter(max_amount=7)) == [rare]


def test_large_records_make_short_pages_that_fit_a_response(world: World) -> None:
    euro_notes = chr(0x1F4B6) * 500
    metadata = {f"{number:02}".ljust(40, chr(0x1F4B6)): euro_notes for number in range(50)}
    everything = [sent(world, f"{n}", metadata=metadata, description=euro_notes) for n in range(25)][::-1]
    page, after = world.history.list(ANN, TransferFilter(), 25)
    assert after is not None
    # Lambda returns at most 6 MB.
    assert len(render([asdict(TransferResource.of(each, ANN)) for each in page])) < 5_000_000
    assert ids_of(world, ANN, limit=25) == everything


def test_a_filter_that_few_transfers_meet_reads_large_chunks(world: World) -> None:
    for n in range(150):
        world.send(f"{n}")
    world.table.calls.clear()
    assert world.history.list(ANN, TransferFilter(min_amount=999), 1) == ([], None)
    assert len(world.table.calls) < 10


class Case:
    """Five transfers that differ in what filters compare."""

    def __init__(self, world: World) -> None:
        self.small = sent(world, "small", amount=1)
        self.middle = sent(world, "middle", amount=50, destination=Destination(email=BOB_EMAIL))
        world.ledger.decline = "account_frozen"
        world.clock.advance(seconds=10)
        self.declined = body_of(world.send("declined", amount=100, source=ANN_SAVINGS).answer)["transfer_id"]
        world.ledger.decline = ""
        self.received = sent(
            world, "in", amount=60, caller=EVE, source=EVE_ACCOUNT, destination=Destination(account_id=ANN_ACCOUNT)
        )
        world.clock.advance(seconds=10)
        self.deposit = body_of(world.deposit("deposit", amount=60).answer)["id"]
        self.times = [transfer.created_at for transfer in map(Transfer.from_record, world.records())]


ALL = ("deposit", "received", "declined", "middle", "small")


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (TransferFilter(), ALL),
        (TransferFilter(account_id=ANN_ACCOUNT), ("deposit", "received", "middle", "small")),
        (TransferFilter(account_id=ANN_SAVINGS), ("declined",)),
        (TransferFilter(account_id=BOB_ACCOUNT), ()),
        (TransferFilter(kind="deposit"), ("deposit",)),
        (TransferFilter(kind="payment"), ()),
        (TransferFilter(status="completed"), ("received", "middle", "small")),
        (TransferFilter(status="declined"), ("declined",)),
        (TransferFilter(status="pending"), ("deposit",)),
        (TransferFilter(status="voided"), ()),
        (TransferFilter(counterparty=BOB), ("middle", "small")),
        (TransferFilter(counterparty=BOB_EMAIL), ("middle", "small")),
        (TransferFilter(counterparty=BOB_PHONE), ("middle", "small")),
        (TransferFilter(counterparty=BOB_ACCOUNT), ("declined", "middle", "small")),
        (TransferFilter(counterparty=EVE_ACCOUNT), ("received",)),
        (TransferFilter(counterparty=EVE), ("received",)),
        (TransferFilter(counterparty=ANN), ("deposit",)),
        (TransferFilter(counterparty="nobody@example.com"), ()),
        (TransferFilter(min_amount=60), ("deposit", "received", "declined")),
        (TransferFilter(max_amount=59), ("middle", "small")),
        (TransferFilter(min_amount=50, max_amount=60), ("deposit", "received", "middle")),
        (TransferFilter(min_amount=61, max_amount=60), ()),
        (TransferFilter(status="completed", counterparty=BOB, min_amount=2), ("middle",)),
    ],
)
def test_every_filter_is_applied(world: World, conditions: TransferFilter, expected: tuple[str, ...]) -> None:
    case = Case(world)
    assert ids_of(world, ANN, conditions) == [getattr(case, name) for name in expected]
    assert ids_of(world, ANN, conditions, limit=1) == [getattr(case, name) for name in expected]


def test_from_is_inclusive_and_to_exclusive(world: World) -> None:
    case = Case(world)
    times = case.times
    assert ids_of(world, ANN, TransferFilter(from_=times[1], to=times[3])) == [case.declined, case.middle]
    assert ids_of(world, ANN, TransferFilter(to=times[0])) == []
    assert ids_of(world, ANN, TransferFilter(from_=times[4])) == [case.deposit]
    assert ids_of(world, ANN, TransferFilter(from_=times[3], to=times[1])) == []


def test_times_before_the_epoch_and_at_the_end_of_time_are_valid(world: World) -> None:
    case = Case(world)
    everything = TransferFilter(from_="1000-01-01T00:00:00.000Z", to="9999-12-31T23:59:59.999Z")
    assert ids_of(world, ANN, everything) == [getattr(case, name) for name in ALL]
    assert ids_of(world, ANN, TransferFilter(to="1000-01-01T00:00:00.000Z")) == []
    assert ids_of(world, ANN, TransferFilter(from_="9999-12-31T23:59:59.999Z")) == []


@pytest.mark.parametrize("millisecond", range(0, 1000, 37))
def test_a_boundary_falls_between_milliseconds(world: World, millisecond: int) -> None:
    world.clock.at = datetime.fromisoformat(f"2026-11-21T09:30:00.{millisecond:03}+00:00")
    transfer_id = body_of(world.send("1").answer)["id"]
    at = clock.timestamp(world.clock.at)
    world.clock.advance(milliseconds=1)
    after = clock.timestamp(world.clock.at)
    assert ids_of(world, ANN, TransferFilter(from_=at, to=after)) == [transfer_id]
    assert ids_of(world, ANN, TransferFilter(to=at)) == []
    assert ids_of(world, ANN, TransferFilter(from_=after)) == []


def test_an_idempotency_key_finds_its_transfer(world: World) -> None:
    transfer_id = sent(world, "same")
    world.clock.advance(seconds=10)
    deposit_id = body_of(world.deposit("same").answer)["id"]
    sent(world, "other")
    scopes = [
        key_of(ANN, "/v1/transfers", "same", {}).scope,
        key_of(ANN, "/v1/deposits", "same", {}).scope,
    ]
    assert ids_of(world, ANN, scopes=scopes) == [deposit_id, transfer_id]
    assert ids_of(world, ANN, scopes=scopes, limit=1) == [deposit_id, transfer_id]
    assert ids_of(world, ANN, TransferFilter(kind="transfer"), scopes=scopes) == [transfer_id]
    assert ids_of(world, ANN, scopes=[key_of(ANN, "/v1/transfers", "unused", {}).scope]) == []
    assert ids_of(world, ANN, scopes=[]) == []
