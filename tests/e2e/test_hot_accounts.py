"""A hot account, whose credits are pending until they are folded: exact balances, and entries without gaps."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from tests.e2e.client import Person, expect, until
from tests.e2e.platform import Platform

PAYERS, EACH, PRICE = 8, 5, 25


def test_a_hot_account_is_paid_by_many_at_once_and_pays_out(platform: Platform) -> None:
    merchant, admin = platform.person(funds=100), platform.admin()
    account = merchant.accounts["USD"]
    assert merchant.request("PATCH", f"/accounts/{account}", {"hot": True}).status == 403
    expect(admin.request("PATCH", f"/accounts/{account}", {"hot": True}), 200)
    payers = platform.crowd(PAYERS, funds=EACH * PRICE)

    def pay(payer: Person) -> None:
        for number in range(EACH):
            answer = payer.transfer({"account_id": account}, PRICE, description=f"order {number}")
            assert expect(answer, 201)["status"] == "completed"

    with ThreadPoolExecutor(PAYERS) as pool:
        list(pool.map(pay, payers))
    paid = PAYERS * EACH * PRICE
    until(lambda: merchant.balance() == 100 + paid, seconds=20, what="all credits are folded")
    assert [payer.balance() for payer in payers] == [0] * PAYERS

    entries = list(merchant.pages(f"/accounts/{account}/entries", limit=7))
    assert [entry["version"] for entry in entries] == list(range(len(entries), 0, -1))
    assert len({entry["id"] for entry in entries}) == len(entries) == 1 + PAYERS * EACH
    for newer, older in pairwise(entries):
        assert newer["balance_after"] == older["balance_after"] + newer["amount"]
    assert {entry["description"] for entry in entries[:-1]} == {f"order {number}" for number in range(EACH)}

    # A credit can be spent at once, but not a cent more.
    payers[0].deposit(PRICE)
    expect(payers[0].transfer({"account_id": account}, PRICE), 201)
    refused = merchant.transfer({"account_id": payers[1].accounts["USD"]}, 100 + paid + PRICE + 1)
    assert refused.status == 422 and refused.json["code"] == "insufficient_funds"
    expect(merchant.transfer({"account_id": payers[1].accounts["USD"]}, 100 + paid + PRICE), 201)
    assert merchant.balance() == 0
    assert merchant.request("DELETE", f"/accounts/{account}").status == 409

    expect(admin.request("PATCH", f"/accounts/{account}", {"hot": False}), 200)
    platform.settle()
    platform.verify()
