"""PINs: what they protect, how wrong guesses lock them, and how they are reset by mail."""

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.client import Person, expect, new_key
from tests.e2e.platform import Platform


def new_pin(*others: str) -> str:
    """Return a random PIN that differs from the others."""
    while (pin := f"{secrets.randbelow(10**6):06}") in others:
        pass
    return pin


def put(person: Person, status: int, **body: str) -> Any:
    return expect(person.request("PUT", f"/accounts/{person.accounts['USD']}/pin", body), status)


def pay(person: Person, payee: Person, pin: str | None, key: str | None = None) -> Any:
    answer = person.transfer({"user_id": payee.user_id}, 10, key=key, **({} if pin is None else {"pin": pin}))
    return answer.json


def test_every_debit_needs_the_pin(platform: Platform) -> None:
    owner, payee, pin = platform.person(funds=1000), platform.person(), new_pin()
    wrong = new_pin(pin)
    assert owner.get(f"/accounts/{owner.accounts['USD']}")["pin_set"] is False
    put(owner, 204, pin=pin)
    assert owner.get(f"/accounts/{owner.accounts['USD']}")["pin_set"] is True
    key = new_key()
    refused = [pay(owner, payee, given, key) for given in (None, wrong)]
    assert [each["code"] for each in refused] == ["pin_required", "invalid_pin"]
    assert not [each for each in refused if "transfer_id" in each]
    paid = pay(owner, payee, pin, key)
    assert paid["status"] == "completed"
    assert pay(owner, payee, wrong, key) == paid
    assert owner.balance() == 990
    assert len(owner.get("/transfers")["data"]) == 2
    assert put(owner, 422, pin=wrong)["code"] == "pin_required"
    put(owner, 204, pin=wrong, current_pin=pin)
    assert [pay(owner, payee, given).get("code") for given in (pin, wrong)] == ["invalid_pin", None]
    assert expect(payee.request("PUT", f"/accounts/{owner.accounts['USD']}/pin", {"pin": pin}), 404)


def test_wrong_pins_lock_the_pin_until_it_is_reset_by_mail(platform: Platform) -> None:
    owner, payee, pin = platform.person(funds=1000), platform.person(), new_pin()
    account = owner.accounts["USD"]
    put(owner, 204, pin=pin)
    for _ in range(4):
        assert pay(owner, payee, new_pin(pin))["code"] == "invalid_pin"
    assert pay(owner, payee, pin)["status"] == "completed"
    with ThreadPoolExecutor(6) as pool:
        guesses = Counter(pool.map(lambda _: pay(owner, payee, new_pin(pin))["code"], range(12)))
    assert guesses == {"invalid_pin": 5, "pin_locked": 7}
    assert pay(owner, payee, pin)["code"] == "pin_locked"
    known = len(platform.codes(owner.email))
    answer = owner.request("POST", f"/accounts/{account}/pin/reset")
    assert (answer.status, answer.header("location")) == (202, f"/v1/accounts/{account}/pin/confirm")
    again = owner.request("POST", f"/accounts/{account}/pin/reset")
    assert expect(again, 429)["code"] == "rate_limited"
    assert int(again.header("retry-after") or 0) > 0
    code, fresh = platform.next_code(owner.email, known), new_pin(pin)
    wrong = owner.request("POST", f"/accounts/{account}/pin/confirm", {"code": new_pin(code), "new_pin": fresh})
    assert expect(wrong, 422)["code"] == "invalid_code"
    body, key = {"code": code, "new_pin": fresh}, new_key()
    answers = [owner.request("POST", f"/accounts/{account}/pin/confirm", body, key=key) for _ in range(2)]
    assert [each.status for each in answers] == [204, 204]
    assert expect(owner.request("POST", f"/accounts/{account}/pin/confirm", body), 422)["code"] == "invalid_code"
    assert pay(owner, payee, fresh)["status"] == "completed"
    platform.verify()


def test_concurrent_payments_with_the_right_pin_all_succeed(platform: Platform) -> None:
    owner, payee, pin = platform.person(funds=1000), platform.person(), new_pin()
    put(owner, 204, pin=pin)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: pay(owner, payee, pin), range(8)))
    assert {each.get("status") for each in answers} == {"completed"}
    assert owner.balance() == 920


def test_raising_a_limit_needs_the_pin(platform: Platform) -> None:
    owner, pin = platform.person(funds=1000), new_pin()
    put(owner, 204, pin=pin)
    limits = f"/accounts/{owner.accounts['USD']}/limits"
    expect(owner.request("PUT", limits, {"daily": 100}), 200)
    for body, code in (({}, "pin_required"), ({"pin": new_pin(pin)}, "invalid_pin")):
        assert expect(owner.request("PUT", limits, {"daily": 200, **body}), 422)["code"] == code
    assert expect(owner.request("PUT", limits, {"daily": 200, "pin": pin}), 200)["daily"]["limit"] == 200
