"""Holds have no route yet, so their tasks are asked by name, as a saga will ask them.

They settle a transfer that has no record: what `make verify` rightly calls broken, so this runs after it.
"""

from typing import Any

from tests.e2e.client import Person
from tests.e2e.world import World


def test_a_hold_is_opened_settled_in_part_and_released_once(world: World, ada: Person, bob: Person) -> None:
    account, payee, before = ada.accounts["USD"], bob.accounts["USD"], (ada.balance(), bob.balance())
    held = {"transfer_id": "trf_01K0000000000000000000000A", "account_id": account, "amount": 500, "currency": "USD"}
    for _ in range(2):
        assert world.invoke("accounts-reserve", held)["outcome"] == "held"
    shown = ada.get(f"/accounts/{account}")
    assert (shown["held"], shown["available"], shown["posted"]) == (500, before[0] - 500, before[0])
    settle = {"transfer_id": held["transfer_id"], "destination_account_id": payee, "amount": 200}
    answers: list[Any] = [world.invoke("accounts-settle", settle) for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0]["outcome"], answers[0]["amount"]) == ("settled", 200)
    assert world.invoke("accounts-release", {"transfer_id": held["transfer_id"]})["outcome"] == "settled"
    assert (ada.balance(), bob.balance()) == (before[0] - 200, before[1] + 200)


def test_a_released_hold_gives_everything_back(world: World, ada: Person) -> None:
    account, before = ada.accounts["USD"], ada.balance()
    held = {"transfer_id": "trf_01K0000000000000000000000B", "account_id": account, "amount": 500, "currency": "USD"}
    assert world.invoke("accounts-reserve", held)["outcome"] == "held"
    for _ in range(2):
        assert world.invoke("accounts-release", {"transfer_id": held["transfer_id"]})["outcome"] == "released"
    assert ada.balance() == before
    assert ada.get(f"/accounts/{account}")["held"] == 0


def test_a_hold_past_its_time_goes_back(world: World, ada: Person) -> None:
    account, before = ada.accounts["USD"], ada.balance()
    held = {"transfer_id": "trf_01K0000000000000000000000C", "account_id": account, "amount": 500, "currency": "USD"}
    past = {**held, "lapses_at": "2026-01-01T00:00:00.000Z"}
    assert world.invoke("accounts-reserve", past)["outcome"] == "held"
    world.invoke("accounts-lapse")
    assert ada.balance() == before
    settle = {"transfer_id": held["transfer_id"], "destination_account_id": account}
    assert world.invoke("accounts-settle", settle)["outcome"] == "lapsed"
