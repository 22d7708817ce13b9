"""Deposits from cards and bank accounts. test_after_faults.py has those whose rail is slow or silent."""

import pytest

from tests.e2e.client import Person, card_number, expect, iban, new_key, until
from tests.e2e.platform import Platform
from tools.tables import Tables


def test_a_deposit_is_accepted_and_completes_when_the_rail_confirms(platform: Platform) -> None:
    person = platform.person()
    body = {"account_id": person.accounts["USD"], "amount": 5000, "currency": "USD", "description": "Salary"}
    answer = person.request("POST", "/deposits", body | {"source": {"card_id": person.link_card()}}, key=new_key())
    deposit = expect(answer, 202)
    assert answer.header("location") == f"/v1/transfers/{deposit['id']}"
    assert (deposit["kind"], deposit["status"]) == ("deposit", "pending")
    assert deposit["source"]["type"] == "card"
    done = until(
        lambda: (found := person.get(f"/transfers/{deposit['id']}"))["status"] == "completed" and found,
        what="the rail confirms",
    )
    assert done["completed_at"] is not None
    assert person.balance() == 5000
    assert [each["kind"] for each in person.get("/transfers")["data"]] == ["deposit"]
    until(
        lambda: [each["kind"] for each in person.get("/notifications")["data"]] == ["deposit_completed"],
        what="the user is notified",
    )


@pytest.mark.parametrize(("kind", "code"), [("card", "card_declined"), ("bank_account", "bank_declined")])
def test_a_deposit_that_the_rail_declines_moves_no_money(platform: Platform, kind: str, code: str) -> None:
    person = platform.person()
    if kind == "card":
        source = {"card_id": person.link_card(card_number("0002"))}
    else:
        body = {"bank_id": person.get("/banks")["data"][0]["id"], "iban": iban("0002"), "holder_name": "Ada"}
        source = {"bank_account_id": person.post("/bank-accounts", body, status=201)["id"]}
    body = {"account_id": person.accounts["USD"], "amount": 5000, "currency": "USD", "source": source}
    deposit = person.post("/deposits", body, status=202, key=new_key())["id"]
    until(lambda: person.get(f"/transfers/{deposit}")["status"] == "declined", what="the rail declines")
    assert person.get(f"/transfers/{deposit}")["decline_code"] == code
    assert person.balance() == 0
    assert person.get(f"/accounts/{person.accounts['USD']}/entries")["data"] == []
    until(
        lambda: [each["kind"] for each in person.get("/notifications")["data"]] == ["transfer_declined"],
        what="the user is notified",
    )


def test_money_on_its_way_keeps_an_account_open(platform: Platform) -> None:
    person = platform.person()
    account = person.accounts["USD"]
    # This card confirms after 30 s.
    deposit = person.deposit(700, card=person.link_card(card_number("0259")), wait=False)
    until(lambda: _expects_money(platform, account), what="the saga makes the account expect the money")
    refusal = expect(person.request("DELETE", f"/accounts/{account}"), 409)
    assert (refusal["code"], refusal["detail"]) == (
        "account_not_empty",
        "Money is on its way to this account. Wait until it has arrived.",
    )
    until(lambda: person.get(f"/transfers/{deposit}")["status"] == "completed", seconds=60, what="the card confirms")
    assert not _expects_money(platform, account)
    assert expect(person.request("DELETE", f"/accounts/{account}"), 409)["code"] == "account_not_empty"


def _expects_money(platform: Platform, account: str) -> bool:
    """Return whether an account expects money. No answer of the API says so."""
    items = Tables.read(platform.run).accounts
    return any(item["pk"] == f"A#{account}" and item.get("incoming") for item in items)


def test_a_deposit_needs_an_own_account_card_and_matching_currency(
    platform: Platform, ada: Person, bob: Person
) -> None:
    card = {"card_id": ada.link_card()}
    body = {"account_id": ada.accounts["USD"], "amount": 100, "currency": "USD", "source": card}
    foreign = ada.request("POST", "/deposits", body | {"account_id": bob.accounts["USD"]}, key=new_key())
    assert expect(foreign, 404)["code"] == "not_found"
    mismatch = ada.request("POST", "/deposits", body | {"currency": "EUR"}, key=new_key())
    assert expect(mismatch, 422)["code"] == "currency_mismatch"
    missing = body | {"source": {"card_id": "crd_01K0000000000000000000000A"}}
    assert expect(ada.request("POST", "/deposits", missing, key=new_key()), 404)["code"] == "not_found"
