"""What a payee sees of a transfer, and what its initiator learns about the payee, before and after money has moved."""

import json
from dataclasses import replace
from typing import Any

import pytest
from common.contracts.accounts import Destination
from common.errors import Refusal

from functions.accounts.domain.payees import Payee
from functions.transfers.domain.history import TransferFilter
from functions.transfers.domain.lifecycle import STATUSES
from functions.transfers.domain.names import DELETED_USER_NAME, masked
from functions.transfers.domain.transfers import Transfer
from functions.transfers.models.resources import TransferResource
from tests.unit.transfers.world import (
    ANN,
    ANN_ACCOUNT,
    ANN_SAVINGS,
    BOB,
    BOB_ACCOUNT,
    BOB_EMAIL,
    BOB_PHONE,
    EVE,
    World,
    body_of,
)

TO_BOB = Destination(email=BOB_EMAIL)
HIDDEN = ("pending", "declined", "failed")


def made(world: World, status: str, **options: Any) -> Transfer:
    """A transfer from Ann to Bob that has this status."""
    world.interrupted(**{"destination": TO_BOB, **options})
    outcomes = {"completed": ("posted", ""), "declined": ("declined", "account_frozen"), "failed": ("failed", "")}
    if status != "pending":
        world.complete(world.record(), *outcomes[status])
    return world.record()


def listed(world: World, user: str, conditions: TransferFilter = TransferFilter()) -> list[str]:  # noqa: B008 (frozen)
    return [transfer.id for transfer in world.history.list(user, conditions, 100).items]


@pytest.mark.parametrize("status", HIDDEN)
def test_what_has_moved_nothing_is_the_initiators_alone(world: World, status: str) -> None:
    transfer = made(world, status)
    assert transfer.status == status
    with pytest.raises(Refusal) as hidden:
        world.history.get(transfer.id, BOB, is_admin=False)
    assert hidden.value.code == "not_found"
    assert listed(world, BOB) == []
    assert world.history.get(transfer.id, ANN, is_admin=False) == transfer
    assert world.history.get(transfer.id, EVE, is_admin=True) == transfer
    assert listed(world, ANN) == [transfer.id]


def test_a_completed_transfer_is_its_payees_too(world: World) -> None:
    transfer = made(world, "completed")
    assert world.history.get(transfer.id, BOB, is_admin=False) == transfer
    assert listed(world, BOB) == listed(world, ANN) == [transfer.id]


def test_a_stranger_without_money_fills_nobodys_list(world: World) -> None:
    received = made(world, "completed").id
    world.ledger.decline = "insufficient_funds"
    for number in range(30):
        world.send(f"key-{number}", caller=EVE, description="call +1 900")
    world.table.calls.clear()
    assert listed(world, BOB) == [received]
    assert len(world.table.calls) == 3, "two lists and one batch of records: no declined one is read"


@pytest.mark.parametrize("status", HIDDEN)
def test_old_records_that_have_the_payee_in_the_index_are_hidden_too(world: World, status: str) -> None:
    transfer = made(world, status)
    (record,) = world.records()
    world.table.put({**record, "payee": BOB})
    assert listed(world, BOB) == []
    assert listed(world, ANN) == [transfer.id]


def test_an_old_record_leaves_the_payees_index_as_it_is_declined(world: World) -> None:
    pending = made(world, "pending")
    (record,) = world.records()
    world.table.put({**record, "payee": BOB})
    world.complete(pending, "declined", "account_frozen")
    (record,) = world.records()
    assert record["payee"] == f"hidden#{BOB}"


@pytest.mark.parametrize("status", ["pending", "completed", "declined", "failed"])
def test_a_transfer_between_own_accounts_and_a_deposit_are_never_hidden(world: World, status: str) -> None:
    own = made(world, status, destination=Destination(account_id=ANN_SAVINGS))
    assert listed(world, ANN) == [own.id]
    shown = TransferResource.of(own, ANN)
    assert (shown.source.display_name, shown.destination.display_name) == ("Ann A.", "Ann A.")
    world.clock.advance(seconds=1)
    deposit = body_of(world.deposit().answer)["id"]
    assert listed(world, ANN) == [deposit, own.id]
    assert [record["payee"] for record in world.records()] == [ANN, ANN]
    assert {event["data"]["payee_id"] for event in world.events()} == {ANN}


@pytest.mark.parametrize("status", HIDDEN)
def test_the_payees_name_is_masked_for_the_initiator_until_money_has_moved(world: World, status: str) -> None:
    transfer = made(world, status)
    shown = TransferResource.of(transfer, ANN).destination
    assert (shown.display_name, shown.alias, shown.id) == ("B** B.", BOB_EMAIL, None)
    assert TransferResource.of(transfer, EVE, is_admin=True).destination.display_name == "Bob B."
    assert TransferResource.of(replace(transfer, status="completed"), ANN).destination.display_name == "Bob B."


def test_a_pending_answer_masks_the_name_and_a_completed_one_does_not(world: World) -> None:
    world.sagas.faults = ["before post"]
    pending = world.send("1", destination=TO_BOB)
    assert body_of(pending.answer)["destination"]["display_name"] == "B** B."
    assert body_of(world.send("2", destination=TO_BOB).answer)["destination"]["display_name"] == "Bob B."


@pytest.mark.parametrize("status", HIDDEN)
def test_an_event_names_the_payee_only_once_money_has_moved(world: World, status: str) -> None:
    made(world, status)
    published = world.events()
    assert published
    for event in published:
        data = event["data"]
        assert (data["payer_id"], data["payee_id"], data["destination_name"]) == (ANN, None, "B** B.")
        assert BOB not in json.dumps(event)


def test_the_event_of_a_completed_transfer_names_its_payee(world: World) -> None:
    made(world, "completed")
    data = world.events()[-1]["data"]
    assert (data["payee_id"], data["destination_name"]) == (BOB, "Bob B.")


DESTINATIONS = {
    BOB_EMAIL: Destination(email=BOB_EMAIL),
    BOB_PHONE: Destination(phone=BOB_PHONE),
    BOB: Destination(user_id=BOB),
    BOB_ACCOUNT: Destination(account_id=BOB_ACCOUNT),
}


@pytest.mark.parametrize("typed", DESTINATIONS)
@pytest.mark.parametrize("status", ["pending", "declined"])
def test_a_declined_transfer_says_nothing_about_whom_it_was_meant_for(world: World, typed: str, status: str) -> None:
    """A filter must not tell whose email, phone or account it is: it finds only what the initiator has typed."""
    transfer = made(world, status, destination=DESTINATIONS[typed])
    found = {each for each in DESTINATIONS if listed(world, ANN, TransferFilter(counterparty=each)) == [transfer.id]}
    assert found == {typed}


@pytest.mark.parametrize("typed", DESTINATIONS)
def test_a_completed_transfer_is_found_by_every_name_of_the_other_side(world: World, typed: str) -> None:
    transfer = made(world, "completed", destination=DESTINATIONS[typed])
    for each in DESTINATIONS:
        assert listed(world, ANN, TransferFilter(counterparty=each)) == [transfer.id]
    for each in (ANN, ANN_ACCOUNT):
        assert listed(world, ANN, TransferFilter(counterparty=each)) == []
        assert listed(world, BOB, TransferFilter(counterparty=each)) == [transfer.id]
    assert listed(world, ANN, TransferFilter(counterparty="nobody@example.com")) == []


def test_nobody_who_has_no_such_address_is_a_counterparty(world: World) -> None:
    """`auth-find-user` returns an empty user id if it finds nobody."""
    transfer = made(world, "completed")
    (record,) = world.records()
    world.table.put({**record, "destination": {**record["destination"], "owner_id": ""}})
    assert listed(world, ANN, TransferFilter(counterparty="+15559999999")) == []
    assert listed(world, ANN) == [transfer.id]


def test_masking_is_that_of_the_directory_of_payees() -> None:
    for first, last in (("Ada", "Lovelace"), ("Mary Ann", "von Berg"), ("Ö", "Ä"), ("X", "Y Z")):
        payee = Payee("usr_1", 1, "active", first, last, None, None, "")
        assert masked(payee.display_name) == payee.masked_name
    assert masked(DELETED_USER_NAME) == DELETED_USER_NAME


def test_every_status_says_who_sees_it() -> None:
    assert {status for status, rule in STATUSES.items() if not rule.is_visible_to_payee} == set(HIDDEN)
    assert len({rule.event for rule in STATUSES.values()}) == len(STATUSES)
