"""Changes of an account: name, default, freezing, credit limit, closing, and the deletion of its owner."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.client import Person, card_number, expect, until
from tests.e2e.platform import Platform


@pytest.fixture(scope="module")
def admin(platform: Platform) -> Person:
    return platform.admin()


def patch(person: Person, account: str, answer: int = 200, /, **fields: Any) -> Any:
    return expect(person.request("PATCH", f"/accounts/{account}", fields), answer)


def close(person: Person, account: str, status: int = 204) -> Any:
    return expect(person.request("DELETE", f"/accounts/{account}"), status)


def test_owners_and_admins_each_change_their_own_fields(platform: Platform, admin: Person) -> None:
    owner, stranger = platform.person(), platform.person()
    account = owner.accounts["USD"]
    assert patch(owner, account, name=" Rent ", low_balance_alert=500)["name"] == "Rent"
    shown = patch(owner, account, low_balance_alert=None)
    assert shown == patch(owner, account, name="Rent") == owner.get(f"/accounts/{account}")
    assert patch(owner, account, 403, status="frozen")["code"] == "forbidden"
    assert patch(owner, account, 403, credit_limit=5)["code"] == "forbidden"
    assert patch(admin, account, 403, name="Theirs")["code"] == "forbidden"
    assert patch(stranger, account, 404, name="Mine")["code"] == "not_found"
    assert patch(owner, account, 400, posted=5)["code"] == "validation_failed"
    assert patch(admin, account, 409, credit_limit=5)["code"] == "invalid_state"


def test_the_default_can_move_and_there_is_always_one(platform: Platform) -> None:
    owner = platform.person()
    accounts = [owner.accounts["USD"], owner.open_account(), owner.open_account()]

    def defaults() -> list[str]:
        return [each["id"] for each in owner.get("/accounts")["data"] if each["default"]]

    assert defaults() == accounts[:1]
    assert patch(owner, accounts[1], default=True)["default"] is True
    assert defaults() == accounts[1:2]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda account: owner.request("PATCH", f"/accounts/{account}", {"default": True}), accounts * 2))
    assert len(defaults()) == 1
    patch(owner, accounts[2], default=True)
    close(owner, accounts[2])
    assert defaults() == accounts[:1]
    close(owner, accounts[1])
    close(owner, accounts[0])
    assert defaults() == []
    platform.verify()


def test_a_frozen_account_receives_money_and_sends_none(platform: Platform, admin: Person) -> None:
    owner, other = platform.person(funds=1000), platform.person(funds=1000)
    account = owner.accounts["USD"]
    assert patch(admin, account, status="frozen")["status"] == "frozen"
    declined = owner.transfer({"user_id": other.user_id}, 10)
    assert expect(declined, 422)["code"] == "account_frozen"
    expect(other.transfer({"user_id": owner.user_id}, 10), 201)
    assert patch(admin, account, status="active")["posted"] == 1010
    expect(owner.transfer({"user_id": other.user_id}, 10), 201)
    platform.verify()


def test_a_credit_limit_is_set_by_an_admin_and_can_be_spent(platform: Platform, admin: Person) -> None:
    owner, other = platform.person(), platform.person()
    account = owner.open_account("USD", type="credit")
    shown = patch(admin, account, credit_limit=500)
    assert [shown[name] for name in ("posted", "held", "available", "credit_limit")] == [0, 0, 500, 500]
    expect(owner.transfer({"user_id": other.user_id}, 400, source_account_id=account), 201)
    assert patch(admin, account, 409, credit_limit=399)["code"] == "invalid_state"
    assert patch(admin, account, credit_limit=400)["available"] == 0
    declined = owner.transfer({"user_id": other.user_id}, 1, source_account_id=account)
    assert expect(declined, 422)["code"] == "insufficient_funds"
    balance = owner.get(f"/accounts/{account}/balance")
    assert [balance[name] for name in ("posted", "held", "available")] == [-400, 0, 0]
    assert [entry["amount"] for entry in owner.get(f"/accounts/{account}/entries")["data"]] == [400]
    own = admin.open_account("USD", type="credit")
    assert patch(admin, own, 403, credit_limit=500)["code"] == "forbidden"
    platform.verify()


def test_an_empty_account_can_be_closed_and_stays_closed(platform: Platform) -> None:
    owner, other = platform.person(funds=100), platform.person(funds=100)
    account = owner.accounts["USD"]
    assert close(owner, account, 409)["code"] == "account_not_empty"
    expect(owner.transfer({"user_id": other.user_id}, 100), 201)
    assert close(other, account, 404)["code"] == "not_found"
    close(owner, account)
    close(owner, account)
    assert owner.get(f"/accounts/{account}")["status"] == "closed"
    assert account in [each["id"] for each in owner.get("/accounts")["data"]]
    assert patch(owner, account, 409, name="Again")["code"] == "invalid_state"
    refused = other.transfer({"account_id": account}, 10)
    assert expect(refused, 422)["code"] == "payee_not_found"
    assert expect(owner.transfer({"user_id": other.user_id}, 10, source_account_id=account), 404)["code"] == "not_found"
    platform.verify()


def test_a_transfer_to_an_account_that_is_being_closed_loses_no_money(platform: Platform) -> None:
    payer, owner = platform.person(funds=1000), platform.person()
    account = owner.open_account()
    with ThreadPoolExecutor(2) as pool:
        paid = pool.submit(payer.transfer, {"account_id": account}, 10)
        closed = pool.submit(owner.request, "DELETE", f"/accounts/{account}")
    shown = owner.get(f"/accounts/{account}")
    assert (shown["status"], shown["posted"]) in (("closed", 0), ("active", 10))
    assert (closed.result().status == 204) == (shown["status"] == "closed")
    assert (paid.result().status == 201) == (shown["posted"] == 10)
    platform.verify()


def test_deleting_a_user_closes_accounts_unlinks_cards_and_removes_names(platform: Platform, admin: Person) -> None:
    owner, other = platform.person(funds=100), platform.person()
    extra, number = owner.open_account("USD", name="Nest egg"), card_number()
    euros = owner.open_account("EUR")
    owner.link_card(number)
    assert expect(owner.request("DELETE", f"/users/{owner.user_id}"), 409)["code"] == "account_not_empty"
    assert owner.get(f"/accounts/{extra}")["status"] == "active"
    expect(owner.transfer({"user_id": other.user_id}, 100), 201)
    expect(owner.request("DELETE", f"/users/{owner.user_id}"), 204)
    accounts = (owner.accounts["USD"], extra, euros)
    assert {admin.get(f"/accounts/{account}")["status"] for account in accounts} == {"closed"}
    assert expect(other.transfer({"email": owner.email}, 10), 422)["code"] == "payee_not_found"
    until(
        lambda: admin.get(f"/accounts/{extra}")["name"] == "USD account", what="the names of the accounts are removed"
    )
    until(lambda: other.request("POST", "/cards", card(number)).status == 201, what="the card can be linked again")
    assert owner.request("POST", "/accounts", {"currency": "USD"}).status == 401
    platform.verify()


def card(number: str) -> dict[str, Any]:
    return {"number": number, "holder_name": "Bob Babbage", "exp_month": 12, "exp_year": 2039, "cvv": "737"}
