"""The API of transfers: shapes, checks and headers, with the use cases in memory."""

import re
from typing import Any

import pytest
from common.contracts.accounts import ApproveTransfer
from common.contracts.events import Actor
from common.errors import TaskFailed
from common.http import checks
from common.http import request as requests
from common.idempotency import canonical_body

from functions.transfers.api import deposits, transfer, transfers
from tests.support.rest import Answer, event, principal, send
from tests.unit.transfers.world import (
    ANN,
    ANN_ACCOUNT,
    ANN_SAVINGS,
    BANK,
    BOB,
    BOB_ACCOUNT,
    BOB_EMAIL,
    BOB_PHONE,
    CARD,
    EVE,
    KEYS,
    World,
)

BODY = {"destination": {"account_id": BOB_ACCOUNT}, "amount": 100, "currency": "USD"}
DEPOSIT = {"account_id": ANN_ACCOUNT, "amount": 100, "currency": "USD", "source": {"card_id": CARD}}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(transfers, "transfers", lambda: made.transfers)
    monkeypatch.setattr(deposits, "deposits", lambda: made.deposits)
    for reads in (transfers, transfer):
        monkeypatch.setattr(reads, "history", lambda: made.history)
    for module in (checks, requests):
        monkeypatch.setattr(module, "keyring", lambda purpose: KEYS)
    return made


def post(
    body: Any, key: str | None = "key-1", *, caller: str = ANN, to: str = "/transfers", verified: bool = True
) -> Answer:
    headers = {} if key is None else {"Idempotency-Key": key}
    handler = {"/transfers": transfers.handler, "/deposits": deposits.handler}[to]
    who = principal(caller, email_verified=verified)
    return send(handler, event("POST", to, body=body, caller=who, headers=headers))


def listed(caller: str = ANN, **query: str) -> Answer:
    return send(transfers.handler, event("GET", "/transfers", caller=principal(caller), query=query))


def one(transfer_id: str, caller: str = ANN, role: str = "customer") -> Answer:
    path = {"transfer_id": transfer_id}
    return send(transfer.handler, event("GET", "/transfers/{transfer_id}", caller=principal(caller, role), path=path))


def test_a_transfer_is_made_and_replayed_byte_for_byte(world: World) -> None:
    body = BODY | {"description": "lunch", "metadata": {"k": "v"}, "source_account_id": ANN_ACCOUNT, "pin": "123456"}
    first = post(body)
    assert first.status == 201
    assert first.headers["location"] == [f"/v1/transfers/{first.json['id']}"]
    assert first.headers["content-type"] == ["application/json"]
    assert "idempotent-replayed" not in first.headers
    again = post(body | {"pin": "654321"})
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == ["true"]
    assert one(first.json["id"]).json == first.json


def test_a_decline_is_a_problem_document_and_is_replayed(world: World) -> None:
    world.ledger.decline = "insufficient_funds"
    first = post(BODY)
    assert (first.status, first.code) == (422, "insufficient_funds")
    assert first.headers["content-type"] == ["application/problem+json"]
    assert first.json["instance"] == "/v1/transfers"
    assert first.json["trace_id"] == "req-1"
    assert one(first.json["transfer_id"]).json["decline_code"] == "insufficient_funds"
    again = post(BODY)
    assert again.text == first.text
    assert again.headers["content-type"] == ["application/problem+json"]
    assert again.headers["idempotent-replayed"] == ["true"]


def test_an_unknown_outcome_is_a_202(world: World) -> None:
    world.sagas.faults = ["before post"]
    first = post(BODY)
    assert (first.status, first.json["status"]) == (202, "pending")
    assert first.headers["location"] == [f"/v1/transfers/{first.json['id']}"]


def test_a_second_caller_is_asked_to_retry(world: World) -> None:
    seen: list[Answer] = []
    world.sagas.between = lambda: seen.append(post(BODY))
    post(BODY)
    assert (seen[0].status, seen[0].code) == (409, "idempotency_in_progress")
    assert seen[0].headers["retry-after"] == ["1"]


def test_a_key_used_for_another_body_is_refused(world: World) -> None:
    post(BODY)
    for body in (BODY | {"amount": 101}, BODY | {"source_account_id": ANN_SAVINGS}, BODY | {"description": "x"}):
        assert post(body).code == "idempotency_key_reused"
    assert len(world.records()) == 1


def test_a_refused_approval_is_its_problem(world: World) -> None:
    refusals = ("payee_not_found", "same_account", "currency_mismatch", "pin_required", "invalid_pin", "pin_locked")
    for code, status in (("not_found", 404), *((code, 422) for code in refusals)):
        world.accounts.refusal = code
        refused = post(BODY | {"pin": "739154"})
        assert (refused.status, refused.code) == (status, code)
        assert "transfer_id" not in refused.json
        assert "739154" not in refused.text
    assert [item["sk"] for item in world.table.items()] == ["D"], "the unknown payee is counted"


def test_the_approval_knows_the_actor_of_a_wrong_pin(world: World) -> None:
    post(BODY | {"pin": "739154"})
    (approval,) = world.accounts.requests
    assert isinstance(approval, ApproveTransfer)
    actor = approval.actor
    assert actor == Actor(ANN, actor.session_id, actor.ip, actor.user_agent)
    assert actor.ip and actor.session_id


def test_the_pin_is_in_no_log_and_no_fingerprint(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for pin in ("739154", "861207"):
        post(BODY | {"pin": pin})
    world.accounts.refusal = "invalid_pin"
    post(BODY | {"pin": "739154"}, "another")
    logged = capsys.readouterr()
    assert "/transfers" in logged.out + logged.err
    assert not {"739154", "861207"} & set(re.findall(r"[0-9]{6}", logged.out + logged.err))
    (bound,) = [item for item in world.table.items() if item["sk"] == "K"]
    assert bound["fingerprint"] == KEYS.digest(canonical_body(BODY))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"amount": 100, "currency": "USD"}, "/destination"),
        (BODY | {"destination": {}}, "/destination"),
        (BODY | {"destination": {"account_id": None}}, "/destination"),
        (BODY | {"destination": {"account_id": BOB_ACCOUNT, "email": BOB_EMAIL}}, "/destination"),
        (BODY | {"destination": {"account_id": BOB}}, "/destination/account_id"),
        (BODY | {"destination": {"user_id": BOB_ACCOUNT}}, "/destination/user_id"),
        (BODY | {"destination": {"email": "nobody"}}, "/destination/email"),
        (BODY | {"destination": {"phone": "12345"}}, "/destination/phone"),
        (BODY | {"destination": {"card_id": CARD}}, "/destination/card_id"),
        (BODY | {"destination": BOB_EMAIL}, "/destination"),
        (BODY | {"destination": [BOB_EMAIL]}, "/destination"),
        (BODY | {"source_account_id": "acc_1"}, "/source_account_id"),
        (BODY | {"amount": 0}, "/amount"),
        (BODY | {"amount": -1}, "/amount"),
        (BODY | {"amount": "100"}, "/amount"),
        (BODY | {"amount": 1.0}, "/amount"),
        (BODY | {"amount": True}, "/amount"),
        (BODY | {"amount": 10**15 + 1}, "/amount"),
        (BODY | {"currency": "usd"}, "/currency"),
        (BODY | {"description": "x" * 501}, "/description"),
        (BODY | {"description": "a\nb"}, "/description"),
        (BODY | {"description": "\ud800"}, "/description"),
        (BODY | {"metadata": {"k": 1}}, "/metadata/k"),
        (BODY | {"metadata": {"k" * 41: "v"}}, "/metadata/" + "k" * 41 + "/[key]"),
        (BODY | {"metadata": {f"{n}": "v" for n in range(51)}}, "/metadata"),
        (BODY | {"pin": "12345"}, "/pin"),
        (BODY | {"status": "completed"}, "/status"),
        (BODY | {"initiated_by": BOB}, "/initiated_by"),
    ],
)
def test_a_bad_body_is_refused_and_changes_nothing(world: World, body: dict[str, Any], pointer: str) -> None:
    refused = post(body)
    assert (refused.status, refused.code) == (400, "validation_failed")
    assert [error["pointer"] for error in refused.json["errors"]] == [pointer]
    assert world.table.items() == []
    assert world.accounts.requests == []


@pytest.mark.parametrize(("to", "body"), [("/transfers", BODY), ("/deposits", DEPOSIT)])
def test_moving_money_needs_a_verified_email_and_a_key(world: World, to: str, body: dict[str, Any]) -> None:
    assert post(body, to=to, verified=False).code == "email_not_verified"
    assert post(body, None, to=to).code == "idempotency_key_required"
    assert post(body, "x" * 256, to=to).code == "validation_failed"
    assert post("{", to=to).code == "malformed_json"
    assert world.table.items() == []


def test_a_wrong_method_lists_the_allowed_ones(world: World) -> None:
    for handler, resource, allowed in (
        (transfers.handler, "/transfers", "GET, POST"),
        (deposits.handler, "/deposits", "POST"),
        (transfer.handler, "/transfers/{transfer_id}", "GET"),
    ):
        path = {"transfer_id": "trf_01K0000000000000000000000Z"}
        refused = send(handler, event("DELETE", resource, caller=principal(ANN), path=path))
        assert (refused.status, refused.headers["allow"]) == (405, [allowed])


def test_one_transfer_is_for_its_parties_and_admins(world: World) -> None:
    made = post(BODY).json
    assert one(made["id"], BOB).status == 200
    assert one(made["id"], EVE, "admin").json["source"]["id"] == ANN_ACCOUNT
    for hidden in (one(made["id"], EVE), one(made["id"], EVE, "arbiter"), one("trf_1"), one("trf_" + "0" * 26)):
        assert (hidden.status, hidden.code) == (404, "not_found")


def test_a_payee_never_sees_the_payers_account(world: World) -> None:
    made = post(BODY).json
    for text in (one(made["id"], BOB).text, listed(BOB).text):
        assert made["id"] in text
        assert ANN_ACCOUNT not in text


def test_a_payee_does_not_see_a_declined_transfer(world: World) -> None:
    world.ledger.decline = "insufficient_funds"
    made = post(BODY | {"destination": {"email": BOB_EMAIL}, "description": "call +1 900"}).json["transfer_id"]
    hidden = one(made, BOB)
    assert (hidden.status, hidden.code) == (404, "not_found")
    assert listed(BOB).json == {"data": [], "next_cursor": None}
    assert one(made).json["destination"] == {
        "type": "account",
        "id": None,
        "alias": BOB_EMAIL,
        "display_name": "B** B.",
    }
    assert one(made).json["destination"] == listed().json["data"][0]["destination"]
    assert one(made, EVE, "admin").json["destination"]["display_name"] == "Bob B."


@pytest.mark.parametrize(("to", "body"), [("/transfers", BODY), ("/deposits", DEPOSIT)])
def test_too_many_declines_are_a_429(world: World, to: str, body: dict[str, Any]) -> None:
    world.ledger.decline = "insufficient_funds"
    codes = {post(BODY, f"key-{number}").code for number in range(30)}
    assert codes == {"insufficient_funds"}
    refused = post(body, "another", to=to)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "rate_limited", ["1800"])


def test_a_deposit_is_accepted(world: World) -> None:
    first = post(DEPOSIT, to="/deposits")
    assert (first.status, first.json["kind"], first.json["status"]) == (202, "deposit", "pending")
    assert first.headers["location"] == [f"/v1/transfers/{first.json['id']}"]
    again = post(DEPOSIT, to="/deposits")
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["idempotent-replayed"] == ["true"]
    by_bank = post(DEPOSIT | {"source": {"bank_account_id": BANK}, "description": "x"}, "key-2", to="/deposits")
    assert by_bank.json["source"]["type"] == "bank_account"
    assert one(first.json["id"]).json == first.json


@pytest.mark.parametrize(
    "body",
    [
        DEPOSIT | {"source": {}},
        DEPOSIT | {"source": {"card_id": CARD, "bank_account_id": BANK}},
        DEPOSIT | {"source": {"card_id": BANK}},
        DEPOSIT | {"account_id": "x"},
        DEPOSIT | {"amount": 0},
        DEPOSIT | {"metadata": {}},
        {name: value for name, value in DEPOSIT.items() if name != "account_id"},
    ],
)
def test_a_bad_deposit_is_refused(world: World, body: dict[str, Any]) -> None:
    assert post(body, to="/deposits").code == "validation_failed"
    assert world.table.items() == []


def test_lists_page_by_cursor(world: World) -> None:
    made = []
    for n in range(3):
        world.clock.advance(seconds=1)
        made.append(post(BODY, f"key-{n}").json["id"])
    first = listed(limit="2").json
    assert [each["id"] for each in first["data"]] == made[:0:-1]
    second = listed(limit="2", cursor=first["next_cursor"]).json
    assert ([each["id"] for each in second["data"]], second["next_cursor"]) == (made[:1], None)
    assert listed(BOB, cursor=first["next_cursor"], limit="2").code == "invalid_cursor"
    assert listed(cursor=first["next_cursor"], status="completed").code == "invalid_cursor"
    assert listed(EVE).json == {"data": [], "next_cursor": None}


def test_filters_reach_the_list(world: World) -> None:
    transfer_id = post(BODY | {"destination": {"email": " Bob@Example.com"}}, "t").json["id"]
    world.clock.advance(seconds=10)
    deposit_id = post(DEPOSIT | {"amount": 7}, "d", to="/deposits").json["id"]

    def ids(**query: str) -> list[str]:
        return [each["id"] for each in listed(**query).json["data"]]

    assert ids() == [deposit_id, transfer_id]
    assert ids(kind="deposit") == [deposit_id]
    assert ids(status="completed") == [transfer_id]
    assert ids(counterparty=" BOB@example.com") == [transfer_id]
    for named in (BOB, BOB_ACCOUNT, BOB_PHONE):
        assert ids(counterparty=named) == [transfer_id]
    assert ids(counterparty="+15551234567") == []
    assert ids(min_amount="8") == [transfer_id]
    assert ids(max_amount="7") == [deposit_id]
    assert ids(idempotency_key="d") == [deposit_id]
    assert ids(idempotency_key="t") == [transfer_id]
    assert ids(idempotency_key="t", kind="deposit") == []
    assert ids(idempotency_key="unknown") == []
    assert ids(account_id=BOB_ACCOUNT) == []
    assert ids(account_id=ANN_SAVINGS) == []
    assert ids(**{"from": "2026-11-21T10:30:05+01:00"}) == [deposit_id]
    assert ids(to="2026-11-21T09:30:05Z") == [transfer_id]
    assert [each["id"] for each in listed(BOB, idempotency_key="t").json["data"]] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account_id", "acc_1"),
        ("account_id", ""),
        ("kind", "gift"),
        ("status", "done"),
        ("status", ""),
        ("from", "yesterday"),
        ("from", "2026-11-21"),
        ("to", "2026-11-21T10:00:00"),
        ("from_", "2026-11-21T10:00:00Z"),
        ("counterparty", "bob"),
        ("counterparty", ""),
        ("counterparty", CARD),
        ("min_amount", "1.0"),
        ("min_amount", "-1"),
        ("max_amount", "1_0"),
        ("max_amount", "9" * 16),
        ("idempotency_key", ""),
        ("idempotency_key", "x" * 256),
        ("idempotency_key", "ü"),
        ("idempotency_key", "x\n"),
        ("limit", "0"),
        ("limit", "101"),
        ("sort", "asc"),
    ],
)
def test_an_invalid_filter_is_refused_and_not_ignored(world: World, name: str, value: str) -> None:
    refused = listed(**{name: value})
    assert (refused.status, refused.code) == (400, "validation_failed")
    assert refused.json["errors"][0]["pointer"] == f"/query/{name}"


def test_a_fault_in_another_context_is_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(request: Any) -> Any:
        raise TaskFailed("accounts-approve-transfer")

    monkeypatch.setattr(world.transfers, "_approve", down)
    refused = post(BODY)
    assert (refused.status, refused.code) == (503, "unavailable")
    assert world.table.items() == []
