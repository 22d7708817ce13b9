"""The handlers of the context as Lambda calls them, over moto."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from common.contracts.accounts import Party, TransferApproval
from common.contracts.auth import CHECK_CODE, FIND_USER, FindUser, FoundUser
from common.contracts.events import Event, EventType
from common.contracts.task import Done
from common.dynamo import Table
from common.errors import Refusal
from common.observability import logger

from functions.accounts.api import account, account_pin, accounts, bank_accounts, cards, catalog, payees
from functions.accounts.events import users
from functions.accounts.service.instruments import Instruments
from functions.accounts.tasks import approve_deposit, approve_transfer, close_accounts
from tests.support.clock import FakeClock
from tests.support.rest import CONTEXT, Answer, event, principal, send

ADA, BOB = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
NUMBER, CVV, IBAN = "4242424242424242", "7391", "DE89370400440532013000"
CARD = {"number": NUMBER, "holder_name": "Ada Lovelace", "exp_month": 12, "exp_year": 2090, "cvv": CVV}
BANK_ACCOUNT = {"bank_id": "hanse-bank", "iban": IBAN, "holder_name": "Ada Lovelace"}

pytestmark = pytest.mark.usefixtures("dynamodb")


def call(
    module: Any, method: str, resource: str, caller: str | None = ADA, role: str = "customer", **sent: Any
) -> Answer:
    who = principal(caller, role) if caller else None
    return send(module.handler, event(method, resource, caller=who, **sent))


def open_(caller: str = ADA, **sent: Any) -> Answer:
    return call(accounts, "POST", "/accounts", caller, **{"body": {"currency": "USD"}, **sent})


def verify(user_id: str, first: str, email: str) -> None:
    handle(
        "user.verified",
        user_id,
        {
            "user_id": user_id,
            "email": email,
            "email_verified": True,
            "phone": None,
            "phone_verified": False,
            "first_name": first,
            "last_name": "Lovelace",
            "status": "active",
        },
    )


def handle(type: EventType, user_id: str, data: dict[str, Any]) -> None:
    happened = Event.new(type, user_id, 2 + (type == "user.deleted"), FakeClock()(), data)
    record = {"messageId": "1", "receiptHandle": "1", "body": json.dumps(happened.item()), "eventSource": "aws:sqs"}
    assert users.handler({"Records": [record]}, CONTEXT) == {"batchItemFailures": []}


class Lines(logging.Handler):
    """Collects everything that is logged, with extra fields and traces."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += repr(vars(record)) + logging.Formatter().format(record)


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, log = Lines(), logging.getLogger(logger().name)
    level = log.level
    log.addHandler(handler)
    log.setLevel("DEBUG")
    yield handler
    log.setLevel(level)
    log.removeHandler(handler)


# --- the catalog ------------------------------------------------------------------------------------------------------


def test_a_catalog_has_pages_if_a_limit_is_given() -> None:
    whole = call(catalog, "GET", "/currencies", None).json["data"]
    assert len(whole) > 150
    paged: list[Any] = []
    cursor = None
    while cursor is not None or not paged:
        query = {"limit": "60"} | ({"cursor": cursor} if cursor else {})
        page = call(catalog, "GET", "/currencies", None, query=query).json
        paged += page["data"]
        cursor = page["next_cursor"]
    assert paged == whole
    assert call(catalog, "GET", "/banks", None, query={"limit": "0"}).code == "validation_failed"
    assert call(catalog, "GET", "/banks", None, query={"cursor": "x"}).code == "invalid_cursor"


def test_banks_and_currencies_are_public() -> None:
    banks = call(catalog, "GET", "/banks", None)
    assert banks.status == 200
    assert banks.json["next_cursor"] is None
    assert {"id", "name", "country", "logo_url"} == set(banks.json["data"][0])
    currencies = call(catalog, "GET", "/currencies", None).json["data"]
    exponents = {each["code"]: each["exponent"] for each in currencies}
    assert (exponents["USD"], exponents["JPY"], exponents["BHD"]) == (2, 0, 3)
    assert {"code": "EUR", "exponent": 2, "name": "Euro"} in currencies


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_opening_and_reading_accounts() -> None:
    opened = open_()
    assert opened.status == 201
    assert opened.headers["location"] == [f"/v1/accounts/{opened.json['id']}"]
    path = {"account_id": opened.json["id"]}
    assert call(account, "GET", "/accounts/{account_id}", path=path).json == opened.json
    by_admin = call(account, "GET", "/accounts/{account_id}", BOB, "admin", path=path)
    assert by_admin.json == {**opened.json, "hot": False}
    for caller, role in ((BOB, "customer"), (BOB, "arbiter")):
        assert call(account, "GET", "/accounts/{account_id}", caller, role, path=path).code == "not_found"
    assert call(account, "GET", "/accounts/{account_id}", path={"account_id": "rail:sandbox:USD"}).code == "not_found"
    assert call(accounts, "GET", "/accounts").json == {"data": [opened.json], "next_cursor": None}
    assert call(accounts, "GET", "/accounts", BOB).json == {"data": [], "next_cursor": None}


def test_a_key_replays_an_opening() -> None:
    key = {"Idempotency-Key": "one"}
    first, again = open_(headers=key), open_(headers=key)
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == ["true"]
    other = call(accounts, "POST", "/accounts", body={"currency": "EUR"}, headers=key)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    # Another caller's key is another key.
    assert open_(BOB, headers=key).json["owner_id"] == BOB
    assert len(call(accounts, "GET", "/accounts").json["data"]) == 1


def test_a_cursor_is_valid_for_its_caller_and_list_only() -> None:
    for _ in range(3):
        open_()
    first = call(accounts, "GET", "/accounts", query={"limit": "2"}).json
    rest = call(accounts, "GET", "/accounts", query={"limit": "2", "cursor": first["next_cursor"]}).json
    assert len(first["data"]) == 2
    assert len(rest["data"]) == 1
    assert rest["next_cursor"] is None
    cursor = {"cursor": first["next_cursor"]}
    assert call(accounts, "GET", "/accounts", BOB, query=cursor).code == "invalid_cursor"
    assert call(cards, "GET", "/cards", query=cursor).code == "invalid_cursor"


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", ""])
def test_a_limit_out_of_range_is_refused(limit: str) -> None:
    assert call(accounts, "GET", "/accounts", query={"limit": limit}).code == "validation_failed"


def test_accounts_need_a_token() -> None:
    assert call(accounts, "POST", "/accounts", None, body={"currency": "USD"}).status == 401
    assert call(accounts, "GET", "/accounts", None).status == 401


def test_an_invalid_account_is_not_opened() -> None:
    bodies: list[Any] = [{}, {"currency": "ABC"}, {"currency": "USD", "posted": 5}, {"currency": "USD", "type": 1}, []]
    for body in [*bodies, "x"]:
        assert call(accounts, "POST", "/accounts", body=body).status == 400
    assert call(accounts, "GET", "/accounts").json["data"] == []


# --- cards and bank accounts ------------------------------------------------------------------------------------------


def test_linking_listing_and_unlinking_a_card() -> None:
    linked = call(cards, "POST", "/cards", body=CARD)
    assert linked.status == 201
    assert linked.headers["location"] == [f"/v1/cards/{linked.json['id']}"]
    assert linked.json == {
        "id": linked.json["id"],
        "brand": "visa",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2090,
        "holder_name": "Ada Lovelace",
    }
    assert call(cards, "GET", "/cards").json == {"data": [linked.json], "next_cursor": None}
    assert call(cards, "POST", "/cards", BOB, body=CARD).code == "card_already_linked"
    path = {"card_id": linked.json["id"]}
    assert call(cards, "DELETE", "/cards/{card_id}", BOB, path=path).status == 404
    gone = call(cards, "DELETE", "/cards/{card_id}", path=path)
    assert (gone.status, gone.text) == (204, "")
    assert call(cards, "DELETE", "/cards/{card_id}", path=path).status == 404
    assert call(cards, "POST", "/cards", BOB, body=CARD).status == 201


def test_a_card_with_a_key() -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (call(cards, "POST", "/cards", body=CARD, headers=key) for _ in range(2))
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["idempotent-replayed"] == ["true"]
    other = call(cards, "POST", "/cards", body={**CARD, "number": "5555555555554444"}, headers=key)
    assert other.code == "idempotency_key_reused"


def test_an_expired_card_is_a_validation_error() -> None:
    refused = call(cards, "POST", "/cards", body={**CARD, "exp_year": 2020})
    assert refused.status == 400
    assert refused.json["errors"] == [
        {"pointer": "/exp_year", "detail": "must not be in the past: the card has expired"}
    ]


def test_a_declined_card_says_nothing_about_whether_it_is_linked() -> None:
    assert call(cards, "POST", "/cards", BOB, body=CARD).status == 201
    other = {**CARD, "number": "5555 5555-5555\u00a04444"}
    declined = [call(cards, "POST", "/cards", body={**each, "cvv": "000"}) for each in (CARD, other)]
    assert [(answer.status, answer.code) for answer in declined] == [(422, "card_declined")] * 2
    assert declined[0].json.keys() == declined[1].json.keys()
    assert "transfer_id" not in declined[0].json
    assert declined[0].json["detail"] == declined[1].json["detail"]
    for _ in range(3):
        assert call(cards, "POST", "/cards", body=CARD).code == "card_already_linked"
    limited = call(cards, "POST", "/cards", body=other)
    assert (limited.status, limited.code) == (429, "rate_limited")
    assert 0 < int(limited.headers["retry-after"][0]) <= 3600


def test_linking_listing_and_unlinking_a_bank_account() -> None:
    linked = call(bank_accounts, "POST", "/bank-accounts", body=BANK_ACCOUNT, headers={"Idempotency-Key": "one"})
    assert linked.status == 201
    assert linked.json["iban_last4"] == "3000"
    assert linked.json["bank"]["id"] == "hanse-bank"
    assert call(bank_accounts, "GET", "/bank-accounts").json == {"data": [linked.json], "next_cursor": None}
    again = call(bank_accounts, "POST", "/bank-accounts", body=BANK_ACCOUNT, headers={"Idempotency-Key": "one"})
    assert again.text == linked.text
    path = {"bank_account_id": linked.json["id"]}
    assert call(bank_accounts, "DELETE", "/bank-accounts/{bank_account_id}", BOB, path=path).status == 404
    assert call(bank_accounts, "DELETE", "/bank-accounts/{bank_account_id}", path=path).status == 204
    unknown = call(bank_accounts, "POST", "/bank-accounts", body={**BANK_ACCOUNT, "bank_id": "hanse"})
    assert unknown.json["errors"][0]["pointer"] == "/bank_id"


def test_no_log_answer_event_or_item_has_a_number_or_cvv(
    dynamodb: Any, lines: Lines, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"Idempotency-Key": "one"}
    answers = [call(cards, "POST", "/cards", body=CARD, headers=key) for _ in range(2)]
    answers += [
        call(cards, "POST", "/cards", body=CARD),
        call(cards, "POST", "/cards", body={**CARD, "number": NUMBER[:-1] + "1"}),
        call(cards, "POST", "/cards", body={**CARD, "exp_year": 2020, "cvv": CVV}),
        call(cards, "POST", "/cards", body={**CARD, "extra": NUMBER, "cvv": CVV + "00"}),
        call(bank_accounts, "POST", "/bank-accounts", body=BANK_ACCOUNT, headers=key),
        call(bank_accounts, "POST", "/bank-accounts", body={**BANK_ACCOUNT, "iban": IBAN + "1"}),
    ]
    assert [answer.status for answer in answers] == [201, 201, 409, 400, 400, 400, 201, 400]

    def fail(self: Instruments, *args: object) -> None:
        raise RuntimeError("down")

    monkeypatch.setattr(Instruments, "link_card", fail)
    answers.append(call(cards, "POST", "/cards", body=CARD))
    assert answers[-1].status == 500
    kept = repr(list(Table(dynamodb, "remit-accounts").scan()))
    assert "4242" in kept
    assert "down" in lines.text
    seen = kept + lines.text + repr(capsys.readouterr()) + repr(answers)
    for secret in (NUMBER, NUMBER[:-4], IBAN, IBAN[4:-4]):
        assert secret not in seen
    # Only as a separate value: its digits may be part of an id or a digest by chance.
    assert re.search(rf"(?<![0-9A-Za-z.]){CVV}(?![0-9A-Za-z])", seen) is None


# --- approvals --------------------------------------------------------------------------------------------------------


def transfer(**fields: Any) -> Any:
    request = {"caller_id": ADA, "source_account_id": None, "amount": 100, "currency": "USD", **fields}
    return approve_transfer.handler(request, CONTEXT)


def refusal(outcome: Any) -> str:
    return str(outcome["refusal"]["code"])


def test_approving_a_transfer() -> None:
    mine, theirs = open_().json["id"], open_(BOB).json["id"]
    verify(ADA, "Ada", "ada@example.org")
    verify(BOB, "Bob", "bob@example.org")
    source = Party("account", mine, ADA, "Ada L.")
    destination = Party("account", theirs, BOB, "Bob L.", alias="bob@example.org")
    wanted = TransferApproval(source=source, destination=destination)
    assert transfer(destination={"email": "bob@example.org"}) == asdict(wanted)
    assert refusal(transfer(destination={"account_id": mine})) == "same_account"


def test_approving_a_transfer_to_a_newly_verified_user(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def find(task: object, request: FindUser) -> FoundUser:
        asked.append((task, request))
        return FoundUser("found", BOB, "bob@example.org", True, None, False, "Bob", "Hopper", "active", 2)

    monkeypatch.setattr("functions.accounts.bootstrap.call", find)
    open_()
    theirs = open_(BOB).json["id"]
    verify(ADA, "Ada", "ada@example.org")
    answers = [transfer(destination={"email": "bob@example.org"}) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["destination"]["id"] == theirs
    assert asked == [(FIND_USER, FindUser(email="bob@example.org"))]


def test_approving_a_deposit() -> None:
    mine = open_().json["id"]
    verify(ADA, "Ada", "ada@example.org")
    card_id = call(cards, "POST", "/cards", body=CARD).json["id"]
    request = {"caller_id": ADA, "account_id": mine, "amount": 100, "currency": "USD", "card_id": card_id}
    answer = approve_deposit.handler(request, CONTEXT)
    assert (answer["source"]["display_name"], answer["last4"]) == ("Visa 4242", "4242")
    assert refusal(approve_deposit.handler({**request, "caller_id": BOB}, CONTEXT)) == "not_found"


# --- the life of an account -------------------------------------------------------------------------------------------

ACCOUNT = "/accounts/{account_id}"
PIN, NEW_PIN, CODE = "135790", "908070", "424242"


def use(
    method: str, resource: str, account_id: str, caller: str | None = ADA, role: str = "customer", **sent: Any
) -> Answer:
    module = account_pin if "/pin" in resource else account
    return call(module, method, resource, caller, role, path={"account_id": account_id}, **sent)


def test_changing_and_closing_an_account() -> None:
    mine = open_().json["id"]
    changed = use("PATCH", ACCOUNT, mine, body={"name": "Rent", "low_balance_alert": 500})
    assert (changed.status, changed.json["name"]) == (200, "Rent")
    assert use("PATCH", ACCOUNT, mine).json == changed.json
    assert use("PATCH", ACCOUNT, mine, body={"status": "frozen"}).code == "forbidden"
    frozen = use("PATCH", ACCOUNT, mine, BOB, "admin", body={"status": "frozen"})
    assert (frozen.status, frozen.json["status"]) == (200, "frozen")
    assert use("PATCH", ACCOUNT, mine, BOB, body={"name": "x"}).code == "not_found"
    assert use("PATCH", ACCOUNT, mine, body={"posted": 1}).json["errors"][0]["pointer"] == "/posted"
    assert use("DELETE", ACCOUNT, mine, BOB).code == "not_found"
    for _ in range(2):
        gone = use("DELETE", ACCOUNT, mine)
        assert (gone.status, gone.text) == (204, "")
    assert use("GET", ACCOUNT, mine).json["status"] == "closed"
    assert use("PATCH", ACCOUNT, mine, body={"name": "x"}).code == "invalid_state"


def test_only_admins_set_and_see_that_an_account_is_hot() -> None:
    mine = open_().json["id"]
    assert use("PATCH", ACCOUNT, mine, body={"hot": True}).code == "forbidden"
    hot = use("PATCH", ACCOUNT, mine, BOB, "admin", body={"hot": True})
    assert (hot.status, hot.json["hot"]) == (200, True)
    assert use("GET", ACCOUNT, mine, BOB, "admin").json == hot.json
    assert "hot" not in use("GET", ACCOUNT, mine).json
    assert "hot" not in call(accounts, "GET", "/accounts").json["data"][0]
    opened = call(accounts, "POST", "/accounts", BOB, "admin", body={"currency": "USD"}).json
    assert opened["hot"] is False
    assert call(accounts, "GET", "/accounts", BOB, "admin").json["data"] == [opened]


def test_setting_and_resetting_a_pin(monkeypatch: pytest.MonkeyPatch, dynamodb: Any, lines: Lines) -> None:
    asked: list[Any] = []

    def auth(task: object, ask: Any) -> Any:
        asked.append(ask)
        if task == CHECK_CODE:
            if ask.code != CODE:
                raise Refusal("code_expired")
        elif len(asked) > 1:
            raise Refusal("rate_limited", retry_after=60)
        return Done()

    monkeypatch.setattr("functions.accounts.bootstrap.call", auth)
    mine, key = open_().json["id"], {"Idempotency-Key": "one"}
    answers = [use("PUT", f"{ACCOUNT}/pin", mine, body={"pin": PIN})]
    assert (answers[0].status, answers[0].text) == (204, "")
    assert use("GET", ACCOUNT, mine).json["pin_set"] is True
    answers += [
        use("PUT", f"{ACCOUNT}/pin", mine, body={"pin": NEW_PIN}),
        use("PUT", f"{ACCOUNT}/pin", mine, BOB, body={"pin": PIN}),
    ]
    assert [answer.code for answer in answers[1:]] == ["pin_required", "not_found"]
    reset = [use("POST", f"{ACCOUNT}/pin/reset", mine, headers=key) for _ in range(2)]
    assert [(answer.status, answer.text) for answer in reset] == [(202, "")] * 2
    assert reset[0].headers["location"] == [f"/v1/accounts/{mine}/pin/confirm"]
    assert ["idempotent-replayed" in answer.headers for answer in reset] == [False, True]
    again = use("POST", f"{ACCOUNT}/pin/reset", mine)
    assert (again.status, again.headers["retry-after"]) == (429, ["60"])
    assert (asked[0].user_id, asked[0].purpose, asked[0].subject, asked[0].actor.user_id) == (
        ADA,
        "pin_reset",
        mine,
        ADA,
    )
    expired = use("POST", f"{ACCOUNT}/pin/confirm", mine, body={"code": "111111", "new_pin": NEW_PIN})
    assert (expired.status, expired.code) == (422, "code_expired")
    done = [
        use("POST", f"{ACCOUNT}/pin/confirm", mine, body={"code": CODE, "new_pin": NEW_PIN}, headers=key)
        for _ in range(2)
    ]
    assert [(answer.status, answer.text) for answer in done] == [(204, "")] * 2
    assert ["idempotent-replayed" in answer.headers for answer in done] == [False, True]
    assert refusal(transfer(destination={"email": "bob@example.org"}, pin=PIN)) == "invalid_pin"
    assert refusal(transfer(destination={"email": "bob@example.org"})) == "pin_required"
    seen = repr(list(Table(dynamodb, "remit-accounts").scan())) + lines.text + repr([*answers, *reset, *done])
    assert not [secret for secret in (PIN, NEW_PIN) if secret in seen]


def test_the_first_pin_needs_a_recent_login_and_later_ones_the_current_pin() -> None:
    mine = open_().json["id"]

    def put(body: dict[str, str], seconds_ago: int, user_id: str = ADA) -> Answer:
        caller = principal(user_id, logged_in_seconds_ago=seconds_ago)
        request = event("PUT", f"{ACCOUNT}/pin", caller=caller, path={"account_id": mine}, body=body)
        return send(account_pin.handler, request)

    refused = put({"pin": PIN}, 301)
    assert (refused.status, refused.code) == (403, "reauthentication_required")
    assert use("GET", ACCOUNT, mine).json["pin_set"] is False
    assert put({"pin": PIN}, 301, BOB).code == "not_found"
    weak = put({"pin": "890123"}, 0)
    assert (weak.status, weak.code) == (422, "weak_pin")
    assert put({"pin": PIN}, 290).status == 204
    assert put({"pin": NEW_PIN}, 301).code == "pin_required"
    assert put({"pin": NEW_PIN, "current_pin": PIN}, 86_400).status == 204


def test_an_admin_without_a_second_factor_acts_as_a_customer() -> None:
    mine = open_().json["id"]
    request = event(
        "PATCH",
        ACCOUNT,
        caller=principal(BOB, "admin", second_factor=False),
        path={"account_id": mine},
        body={"status": "frozen"},
    )
    assert send(account.handler, request).code == "not_found"
    own = open_(BOB).json["id"]
    assert use("PATCH", ACCOUNT, own, BOB, "admin", body={"status": "frozen"}).code == "forbidden"


# Bodies of accounts' routes, each with one fault: the field, and what its error says.
FAULTS: list[tuple[Any, str, str, dict[str, Any], str, str]] = [
    (cards, "/cards", "number", {**CARD, "number": "0000 0000 0000 0000"}, "/number", "13 to 19 digits"),
    (cards, "/cards", "cvv", {**CARD, "cvv": "73"}, "/cvv", "three or four digits"),
    (cards, "/cards", "month", {**CARD, "exp_month": 13}, "/exp_month", "must be at most 12"),
    (cards, "/cards", "holder", {**CARD, "holder_name": "A\u200bda"}, "/holder_name", "invisible"),
    (bank_accounts, "/bank-accounts", "iban", {**BANK_ACCOUNT, "iban": "DE"}, "/iban", "must be an IBAN, such as DE89"),
    (bank_accounts, "/bank-accounts", "bank", {**BANK_ACCOUNT, "bank_id": "x"}, "/bank_id", "GET /v1/banks"),
    (accounts, "/accounts", "type", {"currency": "USD", "type": "x"}, "/type", "'debit', 'credit' or 'loan'"),
    (accounts, "/accounts", "name", {"currency": "USD", "name": " "}, "/name", "must not be blank"),
    (accounts, "/accounts", "tags", {"currency": "USD", "name": "a\U000e0041"}, "/name", "invisible"),
]


@pytest.mark.parametrize(
    ("module", "path", "body", "pointer", "words"),
    [(module, path, body, pointer, words) for module, path, _, body, pointer, words in FAULTS],
    ids=[f"{path}-{name}" for _, path, name, *_ in FAULTS],
)
def test_every_fault_says_what_to_do(module: Any, path: str, body: dict[str, Any], pointer: str, words: str) -> None:
    (error,) = call(module, "POST", path, body=body).json["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_every_fault_of_a_patch_says_what_to_do() -> None:
    mine = open_().json["id"]
    wrong: dict[str, tuple[Any, str]] = {
        "default": (False, "must be true; to change the default, make another account the default"),
        "status": ("closed", "must be 'active' or 'frozen'"),
        "credit_limit": (-1, "must be at least 0"),
        "hot": (1, "must be true or false"),
        "low_balance_alert": (0, "must be at least 1"),
        "name": (None, "must be a string"),
    }
    errors = use("PATCH", ACCOUNT, mine, body={name: value for name, (value, _) in wrong.items()}).json["errors"]
    assert {error["pointer"]: error["detail"] for error in errors} == {
        f"/{name}": detail for name, (_, detail) in wrong.items()
    }


def test_looking_up_a_payee() -> None:
    verify(BOB, "Bob", "bob@example.org")
    found = call(payees, "GET", "/payees", query={"alias": "Bob@Example.org"})
    assert (found.status, found.json) == (200, {"alias": "bob@example.org", "display_name": "B** L."})
    wrong = call(payees, "GET", "/payees", query={"alias": "bob"})
    assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (400, "/query/alias")
    assert call(payees, "GET", "/payees").status == 400
    assert call(payees, "GET", "/payees", None, query={"alias": "bob@example.org"}).status == 401


def test_deleting_a_user(dynamodb: Any) -> None:
    mine = open_(body={"currency": "USD", "name": "Ada's nest egg"}).json["id"]
    linked = call(cards, "POST", "/cards", body=CARD)
    assert call(bank_accounts, "POST", "/bank-accounts", body=BANK_ACCOUNT).status == 201
    verify(ADA, "Ada", "ada@example.org")
    request = {"user_id": ADA, "actor": {"user_id": ADA}}
    for _ in range(2):
        assert close_accounts.handler(request, CONTEXT) == {"outcome": "done"}
    assert open_().status == 401
    deleted = {"user_id": ADA, "status": "deleted"}
    for _ in range(2):
        handle("user.deleted", ADA, deleted)
    assert use("GET", ACCOUNT, mine, BOB, "admin").json["name"] == "USD account"
    assert call(cards, "GET", "/cards").json["data"] == []
    assert call(bank_accounts, "GET", "/bank-accounts").json["data"] == []
    for module, path, body in ((cards, "/cards", CARD), (bank_accounts, "/bank-accounts", BANK_ACCOUNT)):
        assert call(module, "POST", path, body=body).status == 401
    assert call(cards, "POST", "/cards", BOB, body=CARD).status == 201
    kept = [item for item in Table(dynamodb, "remit-accounts").scan() if item["pk"][:2] != "K#"]
    assert linked.json["id"] not in repr(kept)
    assert "ada@example.org" not in repr(kept)
    assert "nest egg" not in repr(kept)
