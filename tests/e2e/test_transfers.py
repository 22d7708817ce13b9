"""Transfers as both parties see them: sent, declined, listed and notified."""

from typing import Any

import pytest

from tests.e2e.client import Person, expect, new_key, phone_number, until
from tests.e2e.platform import Platform


def notifications(person: Person, transfer_id: str) -> list[str]:
    return [each["kind"] for each in person.pages("/notifications", limit=100) if each["resource"] == transfer_id]


@pytest.mark.parametrize("by", ["account_id", "email", "user_id"])
def test_money_can_be_sent_to_an_account_an_email_address_or_a_user(ada: Person, bob: Person, by: str) -> None:
    destination = {"account_id": bob.accounts["USD"], "email": bob.email.upper(), "user_id": bob.user_id}[by]
    before = ada.balance(), bob.balance()
    answer = ada.transfer({by: destination}, 1050, description="Lunch", metadata={"table": "7"})
    transfer = expect(answer, 201)
    assert answer.header("location") == f"/v1/transfers/{transfer['id']}"
    assert (ada.balance(), bob.balance()) == (before[0] - 1050, before[1] + 1050)
    assert (transfer["kind"], transfer["status"], transfer["amount"], transfer["currency"]) == (
        *("transfer", "completed", 1050, "USD"),
    )
    assert set(transfer) == {
        *("id", "kind", "status", "amount", "captured_amount", "refunded_amount", "currency", "source"),
        *("destination", "initiated_by", "description", "metadata", "decline_code", "suspicious", "reference"),
        *("created_at", "completed_at"),
    }
    assert (transfer["description"], transfer["metadata"]) == ("Lunch", {"table": "7"})
    assert (transfer["initiated_by"], transfer["decline_code"]) == (ada.user_id, None)
    assert transfer["source"]["id"] == ada.accounts["USD"]
    assert transfer["destination"]["id"] == (bob.accounts["USD"] if by == "account_id" else None)
    assert transfer["destination"]["alias"] == (bob.email if by == "email" else None)
    assert ada.get(f"/transfers/{transfer['id']}") == transfer
    received = bob.get(f"/transfers/{transfer['id']}")
    assert received["destination"]["id"] == bob.accounts["USD"]
    assert received["source"]["id"] is None  # a payee does not learn the payer's account


def test_both_parties_get_one_notification_and_one_mail(platform: Platform) -> None:
    sender, receiver = platform.crowd(2, funds=1000)
    transfer = expect(sender.transfer({"email": receiver.email}, 100), 201)["id"]
    until(lambda: notifications(sender, transfer) and notifications(receiver, transfer), what="both are notified")
    subjects = {person.email: f"You {verb} 1.00 USD" for person, verb in ((sender, "sent"), (receiver, "received"))}

    def mailed(person: Person) -> list[str]:
        return [each["subject"] for each in platform.mails(person) if "1.00 USD" in each["text"]]

    until(lambda: mailed(sender) and mailed(receiver), what="both are mailed")
    assert notifications(sender, transfer) == ["transfer_sent"]
    assert notifications(receiver, transfer) == ["transfer_received"]
    assert [mailed(person) for person in (sender, receiver)] == [[subjects[sender.email]], [subjects[receiver.email]]]


def test_a_transfer_without_funds_is_declined_and_moves_no_money(platform: Platform, bob: Person) -> None:
    poor = platform.person(funds=500)
    before = bob.balance()
    answer = poor.transfer({"user_id": bob.user_id}, 501, description="Too much")
    problem = expect(answer, 422)
    assert problem["code"] == "insufficient_funds"
    transfer = poor.get(f"/transfers/{problem['transfer_id']}")
    assert (transfer["status"], transfer["decline_code"]) == ("declined", "insufficient_funds")
    assert transfer["completed_at"] is None
    assert transfer["id"] in [each["id"] for each in poor.get("/transfers", status="declined")["data"]]
    assert (poor.balance(), bob.balance()) == (500, before)
    assert len(poor.get(f"/accounts/{poor.accounts['USD']}/entries")["data"]) == 1
    until(lambda: notifications(poor, transfer["id"]) == ["transfer_declined"], what="the sender is notified")
    assert notifications(bob, transfer["id"]) == []
    expect(poor.transfer({"user_id": bob.user_id}, 500), 201)  # everything that is left
    assert poor.balance() == 0


def test_a_rejected_transfer_records_nothing(platform: Platform, ada: Person, bob: Person) -> None:
    dollars, yen = ada.accounts["USD"], ada.post("/accounts", {"currency": "JPY"}, status=201)["id"]
    stranger, unverified = "usr_01K0000000000000000000000A", platform.register()
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"destination": {"account_id": dollars}, "source_account_id": dollars}, 422, "same_account"),
        ({"destination": {"account_id": dollars}}, 422, "same_account"),
        ({"destination": {"account_id": yen}}, 422, "currency_mismatch"),
        ({"destination": {"user_id": bob.user_id}, "source_account_id": yen}, 422, "currency_mismatch"),
        ({"destination": {"user_id": stranger}}, 422, "payee_not_found"),
        ({"destination": {"email": "nobody@example.com"}}, 422, "payee_not_found"),
        ({"destination": {"email": unverified.email}}, 422, "payee_not_found"),
        ({"destination": {"phone": "+14155550199"}}, 422, "payee_not_found"),
        ({"destination": {"account_id": "acc_01K0000000000000000000000A"}}, 422, "payee_not_found"),
        ({"destination": {"user_id": bob.user_id}, "currency": "CHF"}, 404, "not_found"),
        ({"destination": {"user_id": bob.user_id}, "source_account_id": bob.accounts["USD"]}, 404, "not_found"),
    ]
    before, count = ada.balance(), len(list(ada.pages("/transfers", limit=100)))
    for fields, status, code in cases:
        key = new_key()
        answer = ada.request("POST", "/transfers", {"amount": 100, "currency": "USD", **fields}, key=key)
        assert (answer.status, expect(answer, status)["code"]) == (status, code), fields
        assert "transfer_id" not in answer.json
        # Nothing was recorded, so the key can be used again.
        assert ada.get("/transfers", idempotency_key=key)["data"] == []
    assert (ada.balance(), len(list(ada.pages("/transfers", limit=100)))) == (before, count)


def test_money_cannot_be_sent_to_an_unverified_phone(platform: Platform, ada: Person) -> None:
    phone = phone_number()
    person = platform.register(phone=phone)
    platform.code(person)
    refused = ada.transfer({"phone": phone}, 100)
    assert expect(refused, 422)["code"] == "payee_not_found"


def test_money_can_be_sent_between_own_accounts(platform: Platform) -> None:
    person = platform.person(funds=1000)
    savings = person.post("/accounts", {"currency": "USD", "name": "Savings"}, status=201)["id"]
    transfer = expect(person.transfer({"account_id": savings}, 400), 201)
    assert (person.balance(), person.balance(savings)) == (600, 400)
    back = person.transfer({"account_id": person.accounts["USD"]}, 150, source_account_id=savings)
    expect(back, 201)
    assert (person.balance(), person.balance(savings)) == (750, 250)
    assert [each["id"] for each in person.pages("/transfers", account_id=savings)] == [back.json["id"], transfer["id"]]


@pytest.mark.parametrize("currency", ["JPY", "BHD"])
def test_currencies_with_no_and_with_three_decimals(platform: Platform, currency: str) -> None:
    sender, receiver = platform.crowd(2, currency=currency)
    sender.deposit(1050, account=sender.accounts[currency])
    answer = sender.transfer({"user_id": receiver.user_id}, 1001, currency=currency)
    assert expect(answer, 201)["amount"] == 1001
    assert sender.balance(sender.accounts[currency]) == 49
    assert receiver.balance(receiver.accounts[currency]) == 1001


def test_transfers_are_listed_with_filters_and_in_pages(platform: Platform) -> None:
    sender, receiver, other = platform.crowd(3)
    sender.deposit(10_000)
    sent = [
        expect(sender.transfer({"user_id": whom.user_id}, amount, key=f"history-{amount}"), 201)
        for whom, amount in ((receiver, 100), (receiver, 200), (other, 300), (receiver, 400))
    ]
    ids = [each["id"] for each in sent]
    everything = [each["id"] for each in sender.get("/transfers", limit=100)["data"]]
    assert everything[:4] == ids[::-1]
    assert len(everything) == 5  # and the deposit, once
    assert [each["id"] for each in sender.pages("/transfers", limit=2)] == everything

    def found(who: Person = sender, **query: Any) -> list[str]:
        return [each["id"] for each in who.pages("/transfers", **query)]

    assert found(kind="transfer") == ids[::-1]
    assert found(kind="deposit") == everything[4:]
    assert found(counterparty=other.user_id) == [ids[2]]
    assert found(min_amount=200, max_amount=300) == [ids[2], ids[1]]
    assert found(**{"from": sent[1]["created_at"], "to": sent[3]["created_at"]}) == [ids[2], ids[1]]
    assert found(idempotency_key="history-300") == [ids[2]]
    assert found(status="pending") == []
    assert found(who=receiver) == [ids[3], ids[1], ids[0]]
    assert found(who=receiver, idempotency_key="history-300") == []
    # A cursor is valid for its own filters only.
    cursor = sender.get("/transfers", limit=1, kind="transfer")["next_cursor"]
    for who, query in ((sender, {"kind": "deposit"}), (sender, {}), (receiver, {"kind": "transfer"})):
        refused = who.request("GET", "/transfers", query={"limit": 1, "cursor": cursor, **query})
        assert expect(refused, 400)["code"] == "invalid_cursor"
    tampered = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    refused = sender.request("GET", "/transfers", query={"limit": 1, "kind": "transfer", "cursor": tampered})
    assert refused.status in (200, 400)


def test_a_counterparty_is_found_by_each_of_their_addresses(platform: Platform) -> None:
    payer, payee, another = platform.person(funds=100), platform.person(), platform.person()
    paid = expect(payer.transfer({"user_id": payee.user_id}, 10), 201)["id"]
    expect(payer.transfer({"email": another.email}, 10), 201)
    for counterparty in (payee.email, payee.user_id, payee.accounts["USD"]):
        found = payer.get("/transfers", counterparty=counterparty, kind="transfer")["data"]
        assert [each["id"] for each in found] == [paid], counterparty
    assert payee.get("/transfers", counterparty=payer.email)["data"][0]["id"] == paid
    assert payer.get("/transfers", counterparty="nobody@example.com")["data"] == []


def test_resources_of_others_are_not_found(platform: Platform, ada: Person, bob: Person) -> None:
    eve = platform.person()
    transfer = expect(ada.transfer({"user_id": bob.user_id}, 100), 201)["id"]
    notification = until(
        lambda: next((each for each in bob.get("/notifications")["data"] if each["resource"] == transfer), None),
        what="Bob is notified",
    )["id"]
    card = ada.link_card()
    routes = [
        ("GET", f"/accounts/{ada.accounts['USD']}"),
        ("GET", f"/accounts/{ada.accounts['USD']}/entries"),
        ("GET", f"/transfers/{transfer}"),
        ("DELETE", f"/cards/{card}"),
        ("POST", f"/notifications/{notification}/read"),
    ]
    for method, path in routes:
        assert expect(eve.request(method, path), 404)["code"] == "not_found", path
    steal = {"account_id": eve.accounts["USD"], "amount": 100, "currency": "USD", "source": {"card_id": card}}
    assert expect(eve.request("POST", "/deposits", steal, key=new_key()), 404)["code"] == "not_found"
    assert card in [each["id"] for each in ada.get("/cards")["data"]]
    bob.post(f"/notifications/{notification}/read", status=204)


def test_the_inbox_counts_unread_notifications(platform: Platform) -> None:
    sender, receiver = platform.crowd(2)
    sender.deposit(1000)
    ids = [expect(sender.transfer({"user_id": receiver.user_id}, 10), 201)["id"] for _ in range(3)]
    until(lambda: receiver.get("/notifications")["unread_count"] == 3, what="there are three notifications")
    inbox = receiver.get("/notifications")["data"]
    assert [each["resource"] for each in inbox] == ids[::-1]
    assert set(inbox[0]) == {"id", "kind", "title", "body", "resource", "read", "created_at"}
    receiver.post(f"/notifications/{inbox[0]['id']}/read", status=204)
    receiver.post(f"/notifications/{inbox[0]['id']}/read", status=204)
    assert receiver.get("/notifications", unread="true")["unread_count"] == 2
    assert [each["id"] for each in receiver.pages("/notifications", unread="true", limit=1)] == [
        each["id"] for each in inbox[1:]
    ]
    assert [each["id"] for each in receiver.get("/notifications", after=inbox[1]["id"])["data"]] == [inbox[0]["id"]]
    receiver.post("/notifications/read-all", status=204)
    assert receiver.get("/notifications")["unread_count"] == 0
    assert {each["read"] for each in receiver.get("/notifications")["data"]} == {True}
