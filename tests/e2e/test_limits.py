"""Spending limits: what they decline and show, and that the owner is notified once."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.client import Person, expect, new_key, until
from tests.e2e.platform import Platform


@pytest.fixture(scope="module")
def owner(platform: Platform) -> Person:
    return platform.person(funds=10_000)


@pytest.fixture(scope="module")
def shop(platform: Platform) -> Person:
    return platform.person()


def path(person: Person) -> str:
    return f"/accounts/{person.accounts['USD']}/limits"


def put(person: Person, **limits: object) -> object:
    return expect(person.request("PUT", path(person), limits), 200)


def test_money_spent_before_a_limit_was_set_counts_towards_it(owner: Person, shop: Person) -> None:
    assert owner.get(path(owner)) == {"currency": "USD", "daily": None, "weekly": None}
    expect(owner.transfer({"account_id": shop.accounts["USD"]}, 250), 201)
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    monday = midnight + timedelta(days=6 - now.weekday())
    shown = put(owner, daily=1000, weekly=1500)
    assert shown == owner.get(path(owner))
    assert shown == {
        "currency": "USD",
        "daily": {"limit": 1000, "spent": 250, "resets_at": f"{midnight:%Y-%m-%dT%H:%M:%S}.000Z"},
        "weekly": {"limit": 1500, "spent": 250, "resets_at": f"{monday:%Y-%m-%dT%H:%M:%S}.000Z"},
    }


def test_a_payment_above_a_limit_is_declined_and_its_owner_notified_once(
    platform: Platform, owner: Person, shop: Person
) -> None:
    to = {"account_id": shop.accounts["USD"]}
    put(owner, daily=1000, weekly=1500)
    before = owner.get(f"/accounts/{owner.accounts['USD']}")
    key = new_key()
    first = owner.transfer(to, 1001, key=key)
    problem = expect(first, 422)
    assert problem["code"] == "limit_exceeded"
    record = owner.get(f"/transfers/{problem['transfer_id']}")
    assert (record["status"], record["decline_code"]) == ("declined", "limit_exceeded")
    assert owner.transfer(to, 1001, key=key).content == first.content
    assert expect(owner.transfer(to, 1002), 422)["code"] == "limit_exceeded"
    assert owner.get(f"/accounts/{owner.accounts['USD']}") == before
    assert owner.get(path(owner))["daily"]["spent"] == 250

    def notified() -> list[object]:
        return [each for each in owner.pages("/notifications", limit=100) if each["kind"] == "limit_exceeded"]

    until(notified, what="the owner is notified")
    platform.settle()
    assert len(notified()) == 1


def test_raising_a_limit_allows_more_and_receiving_money_does_not(owner: Person, shop: Person) -> None:
    to = {"account_id": shop.accounts["USD"]}
    put(owner, daily=300)
    assert expect(owner.transfer(to, 51), 422)["code"] == "limit_exceeded"
    expect(shop.transfer({"account_id": owner.accounts["USD"]}, 100), 201)
    assert expect(owner.transfer(to, 51), 422)["code"] == "limit_exceeded"
    put(owner, daily=301)
    expect(owner.transfer(to, 51), 201)
    assert expect(owner.transfer(to, 1), 422)["code"] == "limit_exceeded"
    assert put(owner) == {"currency": "USD", "daily": None, "weekly": None}
    expect(owner.transfer(to, 1), 201)


def test_raising_or_removing_a_limit_needs_the_pin_and_lowering_does_not(platform: Platform) -> None:
    person = platform.person()
    put(person, daily=1000)
    expect(person.request("PUT", f"/accounts/{person.accounts['USD']}/pin", {"pin": "246810"}), 204)
    put(person, daily=500, weekly=900)
    for wanted in ({"daily": 501, "weekly": 900}, {"daily": 500}, {}):
        assert expect(person.request("PUT", path(person), wanted), 422)["code"] == "pin_required"
        refused = person.request("PUT", path(person), {**wanted, "pin": "135791"})
        assert expect(refused, 422)["code"] == "invalid_pin"
    assert person.get(path(person))["daily"]["limit"] == 500
    put(person, daily=600, pin="246810")
    assert person.get(path(person))["daily"]["limit"] == 600


def test_limits_of_others_are_not_found_and_invalid_limits_are_rejected(
    platform: Platform, owner: Person, shop: Person
) -> None:
    for method, body in (("GET", None), ("PUT", {"daily": 5})):
        assert expect(shop.request(method, path(owner), body), 404)["code"] == "not_found"
        assert expect(platform.client.request(method, path(owner), body), 401)["code"] == "unauthenticated"
    for bad in ({"daily": 0}, {"daily": -1}, {"weekly": 1.5}, {"daily": "5"}, {"monthly": 5}, {"daily": True}):
        assert expect(owner.request("PUT", path(owner), bad), 400)["code"] == "validation_failed"
    refused = owner.request("DELETE", path(owner))
    assert expect(refused, 405)["code"] == "method_not_allowed"
    assert refused.header("allow") == "GET, PUT"
