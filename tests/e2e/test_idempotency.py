"""Requests with the same key and body get the same bytes, however many there are and however concurrent."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.client import Person, expect, new_key, until
from tests.e2e.platform import Platform
from tools.http import Answer


def same(first: Answer, again: Answer) -> bool:
    """Return whether an answer repeats the first one byte for byte."""
    names = ("content-type", "location")
    return (first.status, first.content, [first.header(name) for name in names]) == (
        *(again.status, again.content, [again.header(name) for name in names]),
    )


def until_decided(request: Callable[[], Answer]) -> Answer:
    """Send a request until the first one with its key has ended: on a busy machine that can take more than 3 s."""
    while (answer := request()).status == 409:
        assert answer.json["code"] == "idempotency_in_progress"
        time.sleep(float(answer.header("retry-after") or "nan"))
    return answer


def test_a_completed_transfer_is_replayed(ada: Person, bob: Person) -> None:
    key, before = new_key(), ada.balance()
    first = ada.transfer({"email": bob.email}, 100, key=key)
    assert first.header("idempotent-replayed") is None
    expect(first, 201)
    for _ in range(3):
        again = ada.transfer({"email": bob.email}, 100, key=key)
        assert same(first, again)
        assert again.header("idempotent-replayed") == "true"
    assert ada.balance() == before - 100


def test_a_declined_transfer_is_replayed_even_if_there_is_money_now(platform: Platform, bob: Person) -> None:
    poor, key = platform.person(), new_key()
    first = poor.transfer({"user_id": bob.user_id}, 100, key=key)
    assert expect(first, 422)["code"] == "insufficient_funds"
    poor.deposit(1000)
    again = poor.transfer({"user_id": bob.user_id}, 100, key=key)
    assert same(first, again)
    assert again.header("idempotent-replayed") == "true"
    expect(poor.transfer({"user_id": bob.user_id}, 100, key=new_key()), 201)


def test_a_deposit_is_replayed_with_its_first_answer(ada: Person) -> None:
    body = {"account_id": ada.accounts["USD"], "amount": 100, "currency": "USD", "source": {"card_id": ada.link_card()}}
    key = new_key()
    first = ada.request("POST", "/deposits", body, key=key)
    deposit = expect(first, 202)["id"]
    until(lambda: ada.get(f"/transfers/{deposit}")["status"] == "completed", what="the deposit is completed")
    assert same(first, ada.request("POST", "/deposits", body, key=key))


def test_a_key_is_bound_to_the_content_of_its_body_not_to_its_formatting(ada: Person, bob: Person) -> None:
    key = new_key()
    body = {"destination": {"user_id": bob.user_id}, "amount": 100, "currency": "USD", "description": "Tea"}
    first = ada.request("POST", "/transfers", body, key=key)
    expect(first, 201)
    rewritten = json.dumps(dict(reversed(body.items())), indent=4).encode()
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert same(first, ada.request("POST", "/transfers", rewritten, key=key, headers=kind))
    for change in ({"amount": 101}, {"description": "Tee"}, {"description": None}, {"metadata": {"a": "b"}}):
        other = ada.request("POST", "/transfers", body | change, key=key)
        assert expect(other, 422)["code"] == "idempotency_key_reused"
        assert "transfer_id" not in other.json


def test_a_key_belongs_to_its_caller_and_path(platform: Platform, bob: Person) -> None:
    first, second = platform.crowd(2, funds=1000)
    key = new_key()
    mine = expect(first.transfer({"user_id": bob.user_id}, 100, key=key), 201)
    theirs = expect(second.transfer({"user_id": bob.user_id}, 100, key=key), 201)
    assert mine["id"] != theirs["id"]
    assert theirs["initiated_by"] == second.user_id
    body = {
        "account_id": first.accounts["USD"],
        "amount": 1,
        "currency": "USD",
        "source": {"card_id": first.link_card()},
    }
    deposit = first.post("/deposits", body, status=202, key=key)
    assert deposit["kind"] == "deposit"


def test_a_request_that_records_nothing_leaves_its_key_free(ada: Person, bob: Person) -> None:
    key = new_key()
    refused = ada.transfer({"email": "nobody@example.com"}, 100, key=key)
    assert expect(refused, 422)["code"] == "payee_not_found"
    expect(ada.transfer({"email": bob.email}, 100, key=key), 201)


def test_fifty_concurrent_requests_make_one_transfer(ada: Person, bob: Person) -> None:
    key, before = new_key(), (ada.balance(), bob.balance())
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: until_decided(lambda: ada.transfer({"email": bob.email}, 100, key=key)), range(50))
        )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.header("location") for answer in answers}) == 1
    assert sum(answer.header("idempotent-replayed") is None for answer in answers) == 1
    assert (ada.balance(), bob.balance()) == (before[0] - 100, before[1] + 100)
    assert len(ada.get("/transfers", idempotency_key=key)["data"]) == 1


def test_fifty_concurrent_requests_with_two_bodies_make_one_transfer(ada: Person, bob: Person) -> None:
    key, before = new_key(), ada.balance()
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(
                lambda n: until_decided(lambda: ada.transfer({"email": bob.email}, 100 + n % 2, key=key)), range(50)
            )
        )
    done = [answer for answer in answers if answer.status == 201]
    others = [answer for answer in answers if answer.status != 201]
    assert len({answer.content for answer in done}) == 1
    assert {expect(answer, 422)["code"] for answer in others} == {"idempotency_key_reused"}
    assert len(others) == 25
    assert ada.balance() == before - done[0].json["amount"]


def test_fifty_concurrent_requests_open_one_account(platform: Platform) -> None:
    person = platform.person()
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: person.request("POST", "/accounts", {"currency": "EUR"}, key="euros"), range(50))
        )
    assert {answer.status for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert len(person.get("/accounts")["data"]) == 2
