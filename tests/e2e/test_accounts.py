"""Accounts, cards, bank accounts, entries, and the lists of currencies and banks."""

import pytest

from tests.e2e.client import Person, card_number, expect, iban, new_key
from tests.e2e.platform import Platform


def test_currencies_and_banks_are_public(platform: Platform) -> None:
    currencies = {each["code"]: each["exponent"] for each in platform.client.get("/currencies")["data"]}
    assert (currencies["USD"], currencies["JPY"], currencies["BHD"]) == (2, 0, 3)
    banks = platform.client.get("/banks")["data"]
    assert len(banks) > 3
    assert all(set(bank) == {"id", "name", "country", "logo_url"} for bank in banks)


def test_the_first_account_of_a_currency_is_its_default(platform: Platform) -> None:
    person = platform.person()
    first = person.get(f"/accounts/{person.accounts['USD']}")
    second = person.post("/accounts", {"currency": "USD", "name": "Holidays"}, status=201)
    yen = person.post("/accounts", {"currency": "JPY"}, status=201)
    assert [each["default"] for each in (first, second, yen)] == [True, False, True]
    assert (second["name"], second["type"], second["status"]) == ("Holidays", "debit", "active")
    assert [second[name] for name in ("posted", "held", "available", "credit_limit")] == [0, 0, 0, 0]
    assert set(second) == {
        *("id", "owner_id", "name", "type", "currency", "status", "default", "posted", "held"),
        *("available", "credit_limit", "low_balance_alert", "pin_set", "created_at"),
    }
    listed = person.get("/accounts")
    assert [each["id"] for each in listed["data"]] == [yen["id"], second["id"], first["id"]]
    assert listed["next_cursor"] is None


def test_a_created_account_has_a_location_and_is_replayed_by_its_key(ada: Person) -> None:
    answer = ada.request("POST", "/accounts", {"currency": "EUR"}, key="my-euros")
    account = expect(answer, 201)
    assert answer.header("location") == f"/v1/accounts/{account['id']}"
    again = ada.request("POST", "/accounts", {"currency": "EUR"}, key="my-euros")
    assert (again.status, again.content) == (201, answer.content)
    assert again.header("idempotent-replayed") == "true"
    other = ada.request("POST", "/accounts", {"currency": "GBP"}, key="my-euros")
    assert expect(other, 422)["code"] == "idempotency_key_reused"


def test_an_account_cannot_be_opened_with_money_or_credit(ada: Person) -> None:
    for extra in ({"posted": 100}, {"available": 100}, {"credit_limit": 100}, {"balance": 100}, {"status": "active"}):
        assert (
            expect(ada.request("POST", "/accounts", {"currency": "USD", **extra}), 400)["code"] == "validation_failed"
        )


def test_a_card_can_be_linked_by_one_user_at_a_time(platform: Platform, ada: Person, bob: Person) -> None:
    number = card_number()
    body = {"number": number, "holder_name": "Ada Lovelace", "exp_month": 12, "exp_year": 2039, "cvv": "737"}
    card = ada.post("/cards", body, status=201)
    assert set(card) == {"id", "brand", "last4", "exp_month", "exp_year", "holder_name"}
    assert (card["brand"], card["last4"]) == ("visa", number[-4:])
    for person in (ada, bob):
        assert expect(person.request("POST", "/cards", body), 409)["code"] == "card_already_linked"
    assert card["id"] in [each["id"] for each in ada.get("/cards")["data"]]
    assert expect(bob.request("DELETE", f"/cards/{card['id']}"), 404)["code"] == "not_found"
    expect(ada.request("DELETE", f"/cards/{card['id']}"), 204)
    assert card["id"] not in [each["id"] for each in ada.get("/cards")["data"]]
    # An unlinked card can be linked again.
    again = bob.post("/cards", body | {"holder_name": "Bob Babbage"}, status=201)
    expect(bob.request("DELETE", f"/cards/{again['id']}"), 204)
    expect(bob.request("DELETE", f"/cards/{again['id']}"), 404)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"number": "4242424242424241"}, "/number"),
        ({"exp_year": 2020}, "/exp_year"),
        ({"cvv": "73"}, "/cvv"),
    ],
)
def test_an_invalid_card_is_rejected(ada: Person, change: dict[str, object], pointer: str) -> None:
    body = {"number": card_number(), "holder_name": "Ada", "exp_month": 1, "exp_year": 2039, "cvv": "737"}
    refused = expect(ada.request("POST", "/cards", body | change), 400)
    assert [error["pointer"] for error in refused["errors"]] == [pointer]


def test_a_bank_account_can_be_linked_and_unlinked(ada: Person, bob: Person) -> None:
    bank = ada.get("/banks")["data"][0]
    number = iban("4242")
    body = {"bank_id": bank["id"], "iban": number, "holder_name": "Ada Lovelace"}
    linked = ada.post("/bank-accounts", body, status=201)
    assert set(linked) == {"id", "bank", "iban_last4", "holder_name"}
    assert (linked["bank"], linked["iban_last4"]) == (bank, "4242")
    assert [each["id"] for each in ada.get("/bank-accounts")["data"]] == [linked["id"]]
    assert bob.get("/bank-accounts")["data"] == []
    expect(bob.request("DELETE", f"/bank-accounts/{linked['id']}"), 404)
    expect(ada.request("DELETE", f"/bank-accounts/{linked['id']}"), 204)
    assert ada.get("/bank-accounts")["data"] == []
    wrong = body | {"iban": number[:-1] + ("0" if number[-1] != "0" else "1")}
    assert expect(ada.request("POST", "/bank-accounts", wrong), 400)["errors"][0]["pointer"] == "/iban"


def test_entries_show_every_change_of_the_balance(platform: Platform) -> None:
    sender, receiver = platform.crowd(2, funds=1000)
    account = sender.accounts["USD"]
    for amount in (100, 250):
        expect(sender.transfer({"account_id": receiver.accounts["USD"]}, amount, description="Rent"), 201)
    entries = sender.get(f"/accounts/{account}/entries")["data"]
    assert [(each["direction"], each["amount"], each["balance_after"], each["version"]) for each in entries] == [
        ("debit", 250, 650, 3),
        ("debit", 100, 900, 2),
        ("credit", 1000, 1000, 1),
    ]
    assert set(entries[0]) == {
        *("id", "version", "transfer_id", "direction", "amount", "currency", "balance_after", "description"),
        "created_at",
    }
    assert (entries[0]["description"], entries[0]["currency"]) == ("Rent", "USD")
    debits = list(sender.pages(f"/accounts/{account}/entries", direction="debit", limit=1))
    assert [each["id"] for each in debits] == [each["id"] for each in entries[:2]]
    since = entries[1]["created_at"]
    assert len(sender.get(f"/accounts/{account}/entries", **{"from": since})["data"]) == 2
    assert len(sender.get(f"/accounts/{account}/entries", to=since)["data"]) == 1


def test_accounts_are_listed_in_pages_and_a_cursor_is_valid_for_its_list_only(platform: Platform) -> None:
    person, other = platform.crowd(2)
    for currency in ("EUR", "JPY", "BHD", "GBP"):
        person.post("/accounts", {"currency": currency}, status=201, key=new_key())
    whole = person.get("/accounts", limit=100)["data"]
    assert list(person.pages("/accounts", limit=2)) == whole
    assert len(whole) == 5
    cursor = person.get("/accounts", limit=2)["next_cursor"]
    elsewhere = [
        (person, "/cards"),
        (person, f"/accounts/{person.accounts['USD']}/entries"),
        (other, "/accounts"),
    ]
    for who, path in elsewhere:
        refused = who.request("GET", path, query={"limit": 2, "cursor": cursor})
        assert expect(refused, 400)["code"] == "invalid_cursor"
