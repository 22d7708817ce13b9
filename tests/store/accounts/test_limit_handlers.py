"""The handlers of limits, with PINs and the ledger, over moto."""

from typing import Any

import pytest
from common.contracts.accounts import Reserve

from functions.accounts.api import account_limits, account_pin, accounts
from functions.accounts.events import lapse
from functions.accounts.tasks import post, reserve, settle
from tests.support.rest import CONTEXT, Answer, event, principal, send

ADA, BOB = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
PIN = "246810"

pytestmark = pytest.mark.usefixtures("dynamodb")


def call(module: Any, method: str, resource: str, caller: str = ADA, role: str = "customer", **sent: Any) -> Answer:
    return send(module.handler, event(method, resource, caller=principal(caller, role), **sent))


def open_() -> str:
    opened: str = call(accounts, "POST", "/accounts", body={"currency": "USD"}).json["id"]
    return opened


def limits(method: str, account_id: str, body: Any = None, caller: str = ADA, role: str = "customer") -> Answer:
    path = {"account_id": account_id}
    return call(account_limits, method, "/accounts/{account_id}/limits", caller, role, path=path, body=body)


def pay(account_id: str, number: int, amount: int) -> Any:
    request = {"transfer_id": f"trf_{number:026}", "source_account_id": account_id, "currency": "USD"}
    return post.handler(request | {"destination_account_id": "rail:sandbox:USD", "amount": amount}, CONTEXT)


def fund(account_id: str, amount: int) -> None:
    request = {"transfer_id": f"trf_{9000:026}", "destination_account_id": account_id, "currency": "USD"}
    post.handler(request | {"source_account_id": "rail:sandbox:USD", "amount": amount}, CONTEXT)


def test_setting_reading_and_spending() -> None:
    account_id = open_()
    assert limits("GET", account_id).json == {"currency": "USD", "daily": None, "weekly": None}
    put = limits("PUT", account_id, {"daily": 100})
    assert put.status == 200
    assert put.json["daily"] | {"resets_at": ""} == {"limit": 100, "spent": 0, "resets_at": ""}
    assert put.json["weekly"] is None
    fund(account_id, 1000)
    assert pay(account_id, 1, 60)["outcome"] == "posted"
    assert pay(account_id, 2, 41) | {"at": ""} == {"outcome": "declined", "code": "limit_exceeded", "at": ""}
    assert limits("GET", account_id).json["daily"]["spent"] == 60
    assert limits("PUT", account_id).json == {"currency": "USD", "daily": None, "weekly": None}


def test_raising_a_limit_needs_the_pin() -> None:
    account_id = open_()
    limits("PUT", account_id, {"daily": 100, "weekly": 200})
    path = {"account_id": account_id}
    set_ = call(account_pin, "PUT", "/accounts/{account_id}/pin", path=path, body={"pin": PIN})
    assert set_.status == 204
    assert limits("PUT", account_id, {"daily": 50, "weekly": 200}).status == 200
    for body in ({"daily": 51, "weekly": 200}, {"daily": 50}, {}):
        assert limits("PUT", account_id, body).code == "pin_required"
        assert limits("PUT", account_id, {**body, "pin": "135791"}).code == "invalid_pin"
        assert limits("GET", account_id).json["daily"]["limit"] == 50
        assert limits("PUT", account_id, {"daily": 50, "weekly": 201, "pin": PIN}).status == 200
        assert limits("PUT", account_id, {"daily": 50, "weekly": 200}).status == 200
    for _ in range(5):
        limits("PUT", account_id, {"pin": "135791"})
    refused = limits("PUT", account_id, {"pin": PIN})
    assert (refused.status, refused.code) == (422, "pin_locked")


@pytest.mark.parametrize(("caller", "role"), [(BOB, "customer"), (BOB, "arbiter"), (BOB, "admin")])
def test_limits_are_for_their_owner_only(caller: str, role: str) -> None:
    account_id = open_()
    assert limits("GET", account_id, None, caller, role).code == "not_found"
    assert limits("PUT", account_id, {"daily": 1}, caller, role).code == "not_found"


@pytest.mark.parametrize(
    "body", [{"daily": 0}, {"daily": -1}, {"daily": 1.5}, {"weekly": "1"}, {"weekly": True}, {"monthly": 1}, {"pin": 1}]
)
def test_invalid_limits_are_refused(body: object) -> None:
    assert limits("PUT", open_(), body).code == "validation_failed"


def test_a_hold_lapses_on_schedule() -> None:
    account_id = open_()
    fund(account_id, 100)
    held = Reserve("trf_" + "1" * 26, account_id, 60, "USD", lapses_at="2026-01-01T00:00:00.000Z")
    request = {name: getattr(held, name) for name in held.__slots__}
    assert reserve.handler(request, CONTEXT)["outcome"] == "held"
    lapse.handler({}, CONTEXT)
    answer = settle.handler(
        {"transfer_id": held.transfer_id, "destination_account_id": "rail:sandbox:USD"}, CONTEXT
    )  # fmt: skip
    assert answer["outcome"] == "lapsed"
