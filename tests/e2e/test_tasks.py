"""Holds have no route yet, so their tasks are invoked by name, as a saga will do."""

import secrets
from typing import Any

import pytest

from tests.e2e.client import Person
from tests.e2e.platform import UNRECORDED, Platform


@pytest.fixture
def transfer_id() -> str:
    """The id of a transfer that has no record. `make verify` rightly reports it."""
    return UNRECORDED + secrets.token_hex(10)[:19].upper()


def test_a_hold_is_opened_partly_settled_and_released_once(
    platform: Platform, ada: Person, bob: Person, transfer_id: str
) -> None:
    account, payee, before = ada.accounts["USD"], bob.accounts["USD"], (ada.balance(), bob.balance())
    hold = {"transfer_id": transfer_id, "account_id": account, "amount": 500, "currency": "USD"}
    for _ in range(2):
        assert platform.invoke("accounts-reserve", hold)["outcome"] == "held"
    shown = ada.get(f"/accounts/{account}")
    assert (shown["held"], shown["available"], shown["posted"]) == (500, before[0] - 500, before[0])
    settle = {"transfer_id": transfer_id, "destination_account_id": payee, "amount": 200}
    answers: list[Any] = [platform.invoke("accounts-settle", settle) for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0]["outcome"], answers[0]["amount"]) == ("settled", 200)
    assert platform.invoke("accounts-release", {"transfer_id": transfer_id})["outcome"] == "settled"
    assert (ada.balance(), bob.balance()) == (before[0] - 200, before[1] + 200)


def test_a_released_hold_returns_all_money(platform: Platform, ada: Person, transfer_id: str) -> None:
    account, before = ada.accounts["USD"], ada.balance()
    hold = {"transfer_id": transfer_id, "account_id": account, "amount": 500, "currency": "USD"}
    assert platform.invoke("accounts-reserve", hold)["outcome"] == "held"
    for _ in range(2):
        assert platform.invoke("accounts-release", {"transfer_id": transfer_id})["outcome"] == "released"
    assert ada.balance() == before
    assert ada.get(f"/accounts/{account}")["held"] == 0


def test_a_hold_past_its_time_lapses(platform: Platform, ada: Person, transfer_id: str) -> None:
    account, before = ada.accounts["USD"], ada.balance()
    hold = {"transfer_id": transfer_id, "account_id": account, "amount": 500, "currency": "USD"}
    past = {**hold, "lapses_at": "2026-01-01T00:00:00.000Z"}
    assert platform.invoke("accounts-reserve", past)["outcome"] == "held"
    platform.invoke("accounts-lapse")
    assert ada.balance() == before
    settle = {"transfer_id": transfer_id, "destination_account_id": account}
    assert platform.invoke("accounts-settle", settle)["outcome"] == "lapsed"
