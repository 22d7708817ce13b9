"""Attacks that once worked, each as a story over HTTP, and what stops it now."""

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from common import clock

from tests.e2e.client import (
    PASSWORD,
    SECRETS,
    Client,
    Person,
    card_number,
    expect,
    iban,
    new_key,
    other_code,
    phone_number,
    until,
)
from tests.e2e.platform import Platform
from tests.e2e.routes import iban_with
from tools import mails
from tools.http import Answer

NEW_PASSWORD = "an altogether different one"
SECRETS["password"].add(NEW_PASSWORD)
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"}
SCRIPT = {"User-Agent": "stuffing/1.0"}
OWN_TO_EACH_ANSWER = ("request-id", "x-amzn-requestid", "x-amz-request-id", "date")


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["code"]


def notified(person: Person, kind: str) -> Any:
    """Wait until a notification of a kind is in the inbox, and return the newest."""
    return until(
        lambda: next((each for each in person.get("/notifications", limit=100)["data"] if each["kind"] == kind), None),
        what=f"{kind} is in the inbox",
    )


def mailed(platform: Platform, person: Person, words: str) -> str:
    """Wait until a mail to a user has these words, and return its text."""
    text: str = until(
        lambda: next((each["text"] for each in platform.mails(person) if words in each["text"]), None),
        what=f"'{words}' is mailed to {person.email}",
    )
    return text


def login(person: Person, password: str = PASSWORD, **headers: str) -> Answer:
    body = {"email": person.email, "password": password}
    return Client(person.url).request("POST", "/auth/login", body, headers=headers)


# --- 1: a stolen access token


def test_a_stolen_token_makes_no_credential_that_outlives_it(platform: Platform) -> None:
    """The thief has an access token of the owner, who logged in some minutes ago, and nothing else."""
    owner = platform.person(funds=1000)
    thief = platform.with_old_login(owner)
    attempts: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/auth/api-keys", {"name": "server", "scopes": ["read", "write", "payments"]}),
        ("POST", "/auth/totp", None),
        ("POST", "/auth/totp/confirm", {"code": "123456"}),
        ("POST", "/auth/totp/disable", {"password": "not the password", "code": "123456"}),
        ("POST", "/auth/phone", {"phone": phone_number()}),
        ("POST", "/auth/phone/confirm", {"code": "123456"}),
        ("DELETE", f"/users/{owner.user_id}", None),
        ("PUT", f"/accounts/{owner.accounts['USD']}/pin", {"pin": "739154"}),
    )
    for method, path, body in attempts:
        assert refusal(thief.request(method, path, body)) == (403, "reauthentication_required"), path
    wrong = thief.request("POST", "/auth/reauthenticate", {"password": "not the password"})
    assert refusal(wrong) == (401, "invalid_credentials")
    assert owner.get("/auth/me")["second_factor"] == "none"
    assert owner.get("/auth/api-keys")["data"] == []
    assert owner.get(f"/accounts/{owner.accounts['USD']}")["pin_set"] is False


def test_the_owner_proves_the_password_again_without_a_new_session(platform: Platform) -> None:
    owner = platform.person()
    session = owner.get("/auth/validate")["session_id"]
    owner.token = platform.with_old_login(owner).token
    assert refusal(owner.request("POST", "/auth/totp")) == (403, "reauthentication_required")
    owner.reauthenticate()
    fresh = jwt.decode(owner.token or "", options={"verify_signature": False})
    assert fresh["sid"] == session
    assert clock.now().timestamp() - fresh["auth_time"] < 60
    owner.post("/auth/totp", status=201)
    owner.refresh()
    refreshed = jwt.decode(owner.token or "", options={"verify_signature": False})
    assert (refreshed["sid"], refreshed["auth_time"]) == (session, fresh["auth_time"])


def test_with_a_second_factor_the_password_alone_proves_nothing(platform: Platform) -> None:
    owner = platform.person()
    known = len(platform.codes(owner.email))
    expect(owner.request("PATCH", "/auth/me", {"second_factor": "email"}), 200)
    sent = owner.request("POST", "/auth/reauthenticate", {"password": PASSWORD})
    assert (sent.status, sent.content) == (202, b"")
    code = platform.next_code(owner.email, known)
    wrong = owner.request("POST", "/auth/reauthenticate", {"password": PASSWORD, "code": other_code(code)})
    assert refusal(wrong) == (422, "invalid_code")
    expect(owner.request("POST", "/auth/reauthenticate", {"password": PASSWORD, "code": code}), 200)


def test_with_an_authenticator_app_its_code_proves_the_factor(platform: Platform) -> None:
    owner = platform.person()
    app = owner.add_app()
    wrong = owner.request("POST", "/auth/reauthenticate", {"password": PASSWORD, "code": other_code(app.code())})
    assert refusal(wrong) == (422, "invalid_code")
    expect(owner.request("POST", "/auth/reauthenticate", {"password": PASSWORD, "code": app.code()}), 200)


def test_a_password_reset_ends_every_session_and_revokes_every_api_key(platform: Platform, bob: Person) -> None:
    """The thief made a key while the login was recent. The owner notices, and resets the password."""
    owner = platform.person(funds=1000)
    made = owner.post("/auth/api-keys", {"name": "server", "scopes": ["read", "payments"]}, status=201)
    SECRETS.setdefault("api key", set()).add(made["key"].split(".")[1])
    server = Client(owner.url, made["key"])
    assert notified(owner, "api_key_created")
    known = len(platform.codes(owner.email))
    expect(platform.client.request("POST", "/auth/password/forgot", {"email": owner.email}), 202)
    reset = {"email": owner.email, "code": platform.next_code(owner.email, known), "new_password": NEW_PASSWORD}
    expect(platform.client.request("POST", "/auth/password/reset", reset), 204)
    body = {"destination": {"user_id": bob.user_id}, "amount": 100, "currency": "USD"}
    assert refusal(server.request("POST", "/transfers", body, key=new_key())) == (401, "unauthenticated")
    assert refusal(server.request("GET", "/accounts")) == (401, "unauthenticated")
    assert mailed(platform, owner, "1 API key was revoked")
    owner.token = expect(login(owner, NEW_PASSWORD), 200)["access_token"]
    assert owner.get("/auth/api-keys")["data"] == []
    assert owner.balance() == 1000


def test_an_authenticator_app_ends_every_other_session_and_is_notified(platform: Platform) -> None:
    owner = platform.person()
    other = Person(owner.url, email=owner.email)
    other.login()
    owner.add_app()
    ended = platform.client.request("POST", "/auth/refresh", {"refresh_token": other.refresh_token})
    assert refusal(ended) == (401, "invalid_refresh_token")
    owner.refresh()
    assert notified(owner, "second_factor_changed")


def test_an_admin_removes_a_hostile_second_factor(platform: Platform) -> None:
    admin, owner = platform.admin(), platform.person()
    owner.add_app()
    expect(admin.request("DELETE", f"/users/{owner.user_id}/second-factor"), 204)
    ended = owner.request("POST", "/auth/refresh", {"refresh_token": owner.refresh_token})
    assert refusal(ended) == (401, "invalid_refresh_token")
    owner.app = None
    assert owner.login()["user"]["second_factor"] == "none"
    assert notified(owner, "second_factor_changed")
    expect(admin.request("DELETE", f"/users/{owner.user_id}/second-factor"), 204)
    own = admin.request("DELETE", f"/users/{admin.user_id}/second-factor")
    assert refusal(own) == (403, "forbidden")


# --- 2: somebody else's address


def test_a_squatter_does_not_keep_the_owner_of_an_address_out(platform: Platform) -> None:
    """The squatter registers an address that is not theirs, and prepares what they can before the owner comes."""
    squatter = platform.register()
    squatter.login()
    attempts: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/auth/totp", None),
        ("POST", "/auth/api-keys", {"name": "server", "scopes": ["read"]}),
        ("POST", "/auth/phone", {"phone": phone_number()}),
        ("PATCH", "/auth/me", {"second_factor": "email"}),
        ("POST", "/accounts", {"currency": "USD"}),
        ("DELETE", f"/users/{squatter.user_id}", None),
    )
    for method, path, body in attempts:
        assert refusal(squatter.request(method, path, body)) == (403, "email_not_verified"), path
    assert squatter.get("/accounts")["data"] == []

    known = len(platform.codes(squatter.email))
    expect(platform.client.request("POST", "/auth/password/forgot", {"email": squatter.email}), 202)
    reset = {
        "email": squatter.email,
        "code": platform.next_code(squatter.email, known),
        "new_password": NEW_PASSWORD,
    }
    expect(platform.client.request("POST", "/auth/password/reset", reset), 204)
    assert login(squatter).status == 401
    ended = squatter.request("POST", "/auth/refresh", {"refresh_token": squatter.refresh_token})
    assert refusal(ended) == (401, "invalid_refresh_token")
    assert expect(login(squatter, NEW_PASSWORD), 200)["user"]["second_factor"] == "none"


# --- 3: texts to anybody


def test_a_number_gets_three_texts_a_day_whoever_asks_for_them(platform: Platform) -> None:
    phone = phone_number()
    senders = platform.crowd(4)
    answers = [each.request("POST", "/auth/phone", {"phone": phone}) for each in senders]
    assert [each.status for each in answers] == [202, 202, 202, 429]
    assert refusal(answers[-1]) == (429, "rate_limited")
    assert int(answers[-1].header("retry-after") or 0) > 0
    until(lambda: len(platform.codes(phone)) == 3, what="three texts are sent")
    platform.settle()
    assert len(platform.codes(phone)) == 3


# --- 4: a stranger's declined transfers


@pytest.fixture(scope="module")
def stranger(platform: Platform) -> Person:
    """A user without money."""
    return platform.person()


def test_declined_transfers_of_a_stranger_do_not_reach_the_victim(platform: Platform, stranger: Person) -> None:
    victim = platform.person()
    spam = "call +1 900 555 0100"
    answer = stranger.transfer({"email": victim.email}, 100, description=spam)
    declined = expect(answer, 422)["transfer_id"]
    platform.settle()
    assert victim.get("/transfers")["data"] == []
    assert refusal(victim.request("GET", f"/transfers/{declined}")) == (404, "not_found")
    assert not [each for each in victim.get("/notifications")["data"] if each["resource"] == declined]
    assert not [each for each in platform.mails(victim) if spam in each["text"]]


def test_a_decline_shows_a_masked_name(platform: Platform, stranger: Person) -> None:
    victim = platform.person()
    declined = expect(stranger.transfer({"email": victim.email}, 100), 422)["transfer_id"]
    destination = stranger.get(f"/transfers/{declined}")["destination"]
    assert destination["display_name"] == f"{victim.first_name[0]}** {victim.last_name[0]}."
    payer = platform.person(funds=100)
    paid = expect(payer.transfer({"email": victim.email}, 100), 201)
    assert paid["destination"]["display_name"] == f"{victim.first_name} {victim.last_name[0]}."
    assert [each["id"] for each in victim.get("/transfers")["data"]] == [paid["id"]]


def test_after_thirty_declines_in_an_hour_a_user_is_limited(platform: Platform) -> None:
    poor, victim = platform.person(), platform.person()
    # Unknown payees count, too. A new hour may begin meanwhile, once.
    to = ({"email": victim.email}, {"email": "nobody@example.com"})
    answers = [poor.transfer(to[number % 2], 100) for number in range(62)]
    codes = [each.json["code"] for each in answers]
    limited = codes.index("rate_limited")
    assert 30 <= limited <= 60
    assert set(codes[:limited]) == {"insufficient_funds", "payee_not_found"}
    assert answers[limited].status == 429
    assert 0 < int(answers[limited].header("retry-after") or 0) <= 3600


# --- 5: locking others out


def test_strangers_cannot_lock_a_known_device_out_of_logging_in(platform: Platform) -> None:
    victim = platform.person()
    expect(login(victim, **BROWSER), 200)
    answers = [login(victim, f"wrong {number}", **SCRIPT) for number in range(8)]
    assert [each.status for each in answers] == [401] * 5 + [429] * 3
    assert login(victim, **SCRIPT).status == 429
    expect(login(victim, **BROWSER), 200)
    # The known device has limits of its own, which it alone reaches.
    own = [login(victim, f"wrong {number}", **BROWSER).status for number in range(6)]
    assert own == [401] * 5 + [429]


def test_strangers_cannot_lock_a_known_device_out_of_recovery(platform: Platform) -> None:
    victim = platform.person()
    expect(login(victim, **BROWSER), 200)

    def forgot(headers: dict[str, str]) -> None:
        body = {"email": victim.email}
        expect(platform.client.request("POST", "/auth/password/forgot", body, headers=headers), 202)

    def reset(code: str, headers: dict[str, str]) -> Answer:
        body = {"email": victim.email, "code": code, "new_password": NEW_PASSWORD}
        return platform.client.request("POST", "/auth/password/reset", body, headers=headers)

    known = len(platform.codes(victim.email))
    forgot(SCRIPT)
    wrong = other_code(platform.next_code(victim.email, known))
    for _ in range(11):
        assert reset(wrong, SCRIPT).json["code"] in ("invalid_code", "code_expired")
    forgot(BROWSER)
    expect(reset(platform.next_code(victim.email, known + 1), BROWSER), 204)
    expect(login(victim, NEW_PASSWORD, **BROWSER), 200)


# --- 6: who is a customer


def test_a_weak_password_is_refused_before_anything_is_looked_up(platform: Platform) -> None:
    person = platform.person()
    body = {"password": "password", "first_name": "Eve", "last_name": "Euler"}
    assert_alike(
        platform,
        "AuthRegister",
        lambda email: platform.client.request("POST", "/auth/register", {**body, "email": email}),
        person.email,
        "unknown-1@example.com",
    )


@pytest.mark.parametrize(
    ("function", "path", "body"),
    [
        ("AuthPasswordForgot", "/auth/password/forgot", {}),
        ("AuthResendCode", "/auth/resend-code", {}),
        ("AuthVerifyEmail", "/auth/verify-email", {"code": "000001"}),
        ("AuthPasswordReset", "/auth/password/reset", {"code": "000001", "new_password": NEW_PASSWORD}),
        ("AuthLogin", "/auth/login", {"password": "not the password"}),
    ],
)
@pytest.mark.parametrize("is_verified", [True, False])
def test_known_and_unknown_addresses_get_the_same_answer_for_the_same_work(
    platform: Platform, function: str, path: str, body: dict[str, str], is_verified: bool
) -> None:
    person = platform.person() if is_verified else platform.register()
    platform.code(person)
    assert_alike(
        platform,
        function,
        lambda email: platform.client.request("POST", path, {**body, "email": email}, headers=SCRIPT),
        person.email,
        f"unknown-{person.email}",
    )


def assert_alike(platform: Platform, function: str, request: Callable[[str], Answer], known: str, unknown: str) -> None:
    """Assert that a known and an unknown address get the same answer, for the same calls to AWS."""
    # What a function reads once a process is read before.
    request("warm-up@example.com")
    seen = []
    for email in (known, unknown):
        platform.settle()
        before = max((call["seq"] for call in platform.calls()), default=0)
        answer = request(email)
        calls = [
            (call["service"], call["operation"]) for call in platform.calls(before) if call["function"] == function
        ]
        headers = {name: values for name, values in answer.headers.items() if name not in OWN_TO_EACH_ANSWER}
        document = json.loads(answer.content or b"{}") | {"trace_id": None}
        seen.append((answer.status, document, headers, calls))
    assert seen[0] == seen[1]


# --- 7: cards


def test_linking_a_card_does_not_say_whether_somebody_has_it(platform: Platform) -> None:
    owner, thief, number = platform.person(), platform.person(), card_number()
    owner.link_card(number)
    body = {"holder_name": "Somebody Else", "exp_month": 1, "exp_year": 2031}
    for each in (number, card_number()):
        wrong = thief.request("POST", "/cards", body | {"number": each, "cvv": "000"})
        assert refusal(wrong) == (422, "card_declined")
    taken = thief.request("POST", "/cards", body | {"number": number, "cvv": "737"})
    assert refusal(taken) == (409, "card_already_linked")


def test_five_refused_cards_an_hour_are_enough(platform: Platform) -> None:
    thief = platform.person()
    body = {"holder_name": "Somebody Else", "exp_month": 1, "exp_year": 2031, "cvv": "000"}
    # A new hour may begin meanwhile, once.
    answers = [thief.request("POST", "/cards", body | {"number": card_number()}) for _ in range(11)]
    codes = [each.json["code"] for each in answers]
    limited = codes.index("rate_limited")
    assert 5 <= limited <= 10
    assert set(codes[:limited]) == {"card_declined"}
    assert 0 < int(answers[limited].header("retry-after") or 0) <= 3600
    good = thief.request("POST", "/cards", body | {"number": card_number(), "cvv": "737"})
    assert refusal(good) == (429, "rate_limited")


def test_a_user_has_ten_cards_ten_bank_accounts_and_twenty_accounts(platform: Platform) -> None:
    person = platform.person()
    for _ in range(10):
        person.link_card()
        bank_account = {"bank_id": "hanse-bank", "iban": iban("1234"), "holder_name": "Ada Lovelace"}
        person.post("/bank-accounts", bank_account, status=201)
    for _ in range(19):
        person.post("/accounts", {"currency": "EUR"}, status=201)
    card = {"number": card_number(), "holder_name": "Ada", "exp_month": 1, "exp_year": 2031, "cvv": "737"}
    bank_account = {"bank_id": "hanse-bank", "iban": iban("1234"), "holder_name": "Ada"}
    for path, body in (("/cards", card), ("/bank-accounts", bank_account), ("/accounts", {"currency": "EUR"})):
        assert refusal(person.request("POST", path, body)) == (409, "limit_reached"), path


# --- 8: a stranger's text in our mails


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("call +1 900", "Lovelace", "/first_name"),
        ("Ada", "http://evil.example", "/last_name"),
        ("\u3164", "Lovelace", "/first_name"),
        ("Ada\u200b", "Lovelace", "/first_name"),
        ("R\u0435mit", "Support", "/first_name"),
        ("Re", "mit", "_name"),
    ],
)
def test_a_name_is_a_name(platform: Platform, first: str, last: str, field: str) -> None:
    body = {"email": "namesake@example.com", "password": PASSWORD, "first_name": first, "last_name": last}
    document = expect(platform.client.request("POST", "/auth/register", body), 400)
    assert document["code"] == "validation_failed"
    assert all(error["pointer"].endswith(field) for error in document["errors"])


def test_names_of_any_script_are_welcome(platform: Platform) -> None:
    person = platform.person()
    for first, last in (("José", "O\u2019Neill-Smith"), ("深圳", "王"), ("Zoë", "van der Berg, Jr."), ("नीलम", "शर्मा")):
        changed = expect(person.request("PATCH", "/auth/me", {"first_name": first, "last_name": last}), 200)
        assert (changed["first_name"], changed["last_name"]) == (first, last)


def test_mails_to_an_unverified_address_carry_no_name(platform: Platform) -> None:
    person = platform.register()
    platform.code(person)
    expect(platform.client.request("POST", "/auth/password/forgot", {"email": person.email}), 202)
    until(lambda: len(platform.codes(person.email)) == 2, what="both codes are mailed")
    for mail in platform.mails(person):
        shown = mail["subject"] + mail["text"] + mail["html"]
        assert person.first_name not in shown
        assert person.last_name not in shown


def test_a_text_message_carries_no_name_of_its_sender(platform: Platform) -> None:
    sender, phone = platform.person(), phone_number()
    expect(sender.request("POST", "/auth/phone", {"phone": phone}), 202)
    platform.next_code(phone, 0)
    (text,) = [each for each in mails.messages(platform.run) if each["to"] == phone]
    assert sender.first_name not in text["text"]


def test_a_description_makes_no_link(platform: Platform) -> None:
    payer, payee = platform.person(funds=1000), platform.person()
    text = "see https://evil.example/x or www.evil.example"
    paid = expect(payer.transfer({"email": payee.email}, 100, description=text), 201)
    assert paid["description"] == text
    body = notified(payee, "transfer_received")["body"]
    mail = until(
        lambda: next((each for each in platform.mails(payee) if each["subject"].startswith("You received")), None),
        what="the transfer is mailed",
    )
    for shown in (body, mail["text"], mail["html"]):
        assert re.search(r"https?://evil|www\.evil|evil\.example", shown) is None, shown


# --- 9: a logged-out token


def test_a_token_moves_no_money_after_its_session_has_ended(platform: Platform, bob: Person) -> None:
    """The gateway has cached that the token is good, for routes that move no money."""
    person = platform.person(funds=1000)
    card = person.link_card()
    expect(person.transfer({"user_id": bob.user_id}, 100), 201)
    expect(person.request("GET", "/auth/me"), 200)
    expect(platform.client.request("POST", "/auth/logout", {"refresh_token": person.refresh_token}), 204)
    assert refusal(person.transfer({"user_id": bob.user_id}, 100)) == (401, "unauthenticated")
    deposit = {"account_id": person.accounts["USD"], "amount": 5, "currency": "USD", "source": {"card_id": card}}
    assert refusal(person.request("POST", "/deposits", deposit, key=new_key())) == (401, "unauthenticated")
    person.login()
    assert person.balance() == 900


# --- 10: PINs


def test_a_weak_pin_is_refused(platform: Platform) -> None:
    person = platform.person()
    path = f"/accounts/{person.accounts['USD']}/pin"
    for pin in ("000000", "777777", "123456", "345678", "987654", "123123", "112233", "159753"):
        assert refusal(person.request("PUT", path, {"pin": pin})) == (422, "weak_pin"), pin
    assert person.get(f"/accounts/{person.accounts['USD']}")["pin_set"] is False
    expect(person.request("PUT", path, {"pin": "739154"}), 204)
    assert refusal(person.request("PUT", path, {"pin": "111111", "current_pin": "739154"})) == (422, "weak_pin")


def test_successes_between_guesses_do_not_allow_more_than_twenty_a_day(platform: Platform, bob: Person) -> None:
    person = platform.person(funds=1000)
    expect(person.request("PUT", f"/accounts/{person.accounts['USD']}/pin", {"pin": "739154"}), 204)

    def pay(pin: str) -> str:
        answer = person.transfer({"user_id": bob.user_id}, 1, pin=pin)
        return str(answer.json.get("code") or answer.json["status"])

    day = clock.now().date()
    guesses = [pay("739155" if number % 5 < 4 else "739154") for number in range(25)]
    last = pay("739154")
    if clock.now().date() == day:
        assert guesses.count("invalid_pin") == 20
        assert last == "pin_locked"


# --- 11: an admin's own account


def test_an_admin_decides_nothing_about_themselves(platform: Platform) -> None:
    admin = platform.admin()
    account = f"/accounts/{admin.accounts['USD']}"
    for path, body in (
        (account, {"status": "frozen"}),
        (account, {"credit_limit": 100}),
        (account, {"hot": True}),
        (f"/users/{admin.user_id}", {"role": "customer"}),
        (f"/users/{admin.user_id}", {"status": "suspended"}),
    ):
        assert refusal(admin.request("PATCH", path, body)) == (403, "forbidden"), (path, body)
    found = admin.get(account)
    assert (found["status"], found["credit_limit"], found["hot"]) == ("active", 0, False)


def test_an_admin_without_a_second_factor_is_a_customer(platform: Platform) -> None:
    admin, person = platform.admin(second_factor=False), platform.person()
    for method, path, body in (
        ("GET", "/users", None),
        ("PATCH", f"/users/{person.user_id}", {"status": "suspended"}),
        ("DELETE", f"/users/{person.user_id}/second-factor", None),
    ):
        assert refusal(admin.request(method, path, body)) == (403, "second_factor_required"), path
    assert refusal(admin.request("GET", f"/accounts/{person.accounts['USD']}")) == (404, "not_found")
    admin.add_app()
    admin.login()
    assert admin.get("/users", limit=1)["data"]


# --- 13: cursors and sessions


def test_a_forged_cursor_is_refused(platform: Platform) -> None:
    owner, other = platform.person(), platform.person()
    for _ in range(3):
        owner.post("/accounts", {"currency": "EUR"}, status=201)
    cursor = owner.get("/accounts", limit=1)["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    forged = [
        base64.urlsafe_b64encode(bytes([*raw[:position], raw[position] ^ 1, *raw[position + 1 :]])).decode().rstrip("=")
        for position in (0, 5, len(raw) // 2, len(raw) - 1)
    ]
    for each in forged:
        assert refusal(owner.request("GET", "/accounts", query={"cursor": each})) == (400, "invalid_cursor")
    assert refusal(other.request("GET", "/accounts", query={"cursor": cursor})) == (400, "invalid_cursor")
    assert refusal(owner.request("GET", "/cards", query={"cursor": cursor})) == (400, "invalid_cursor")
    assert owner.get("/accounts", cursor=cursor)["data"]


# --- 18: a header twice


def test_a_key_in_two_lines_pays_nothing(platform: Platform, bob: Person) -> None:
    person, key = platform.person(funds=1000), new_key()
    body = {"destination": {"user_id": bob.user_id}, "amount": 100, "currency": "USD"}
    twice = person.send_lines("POST", "/transfers", body, ("Idempotency-Key", key), ("Idempotency-Key", key))
    assert refusal(twice) == (400, "validation_failed")
    assert twice.json["errors"][0]["pointer"] == "/headers/Idempotency-Key"
    typed = person.send_lines(
        *("POST", "/transfers", body, ("Idempotency-Key", key)),
        ("Content-Type", "application/json"),
        ("content-type", "application/json"),
    )
    assert refusal(typed) == (400, "validation_failed")
    assert typed.json["errors"][0]["pointer"] == "/headers/Content-Type"
    bearer = ("Authorization", f"Bearer {person.token}")
    assert person.send_lines("POST", "/transfers", body, ("Idempotency-Key", key), bearer, bearer).status in (400, 401)
    assert person.balance() == 1000
    once = person.send_lines("POST", "/transfers", body, ("Idempotency-Key", key))
    expect(once, 201)
    expect(person.request("POST", "/transfers", body, key=key), 201)
    assert person.balance() == 900


# --- 19: a spreadsheet that runs a stranger's text


def test_a_statement_holds_no_formula(platform: Platform) -> None:
    payer, payee = platform.person(funds=1000), platform.person()
    texts = ("x;=1+1;y", "=1+1", "  @SUM(1)", "a,+1", "a|-1", "\uff1d1+1", 'he said "=1"')
    for text in texts:
        expect(payer.transfer({"user_id": payee.user_id}, 1, description=text), 201)
    since, until_ = clock.now() - timedelta(days=1), clock.now() + timedelta(days=1)
    path = f"/accounts/{payee.accounts['USD']}/statement"
    query = {"from": clock.timestamp(since), "to": clock.timestamp(until_), "format": "csv"}
    answer = payee.request("GET", path, query=query)
    expected = [
        "x;'=1+1;y",
        "'=1+1",
        "'  @SUM(1)",
        "a,'+1",
        "a|'-1",
        "'\uff1d1+1",
        'he said "=1"',
    ]
    text = answer.content.decode()
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["type"] == "credit"]
    assert [row["description"] for row in rows] == expected
    for line in expected:
        assert '"' + line.replace('"', '""') + '"' in text
    marked = payee.request("GET", path, query=query | {"bom": "true"})
    assert marked.content.startswith(b"\xef\xbb\xbf")
    # The last line has the time of the request.
    assert marked.content[3:].splitlines()[:-1] == answer.content.splitlines()[:-1]


# --- 20: numbers, patches and nulls


def test_only_ibans_and_cards_that_can_exist_are_linked(platform: Platform) -> None:
    person = platform.person()
    bank_account = {"bank_id": "hanse-bank", "holder_name": "Ada Lovelace"}
    for digits in ("00", "01", "99"):
        answer = person.request("POST", "/bank-accounts", bank_account | {"iban": iban_with(digits)})
        assert expect(answer, 400)["errors"][0]["pointer"] == "/iban"
    grouped = "\u00a0".join(re.findall("..?.?.?", iban("1234")))
    person.post("/bank-accounts", bank_account | {"iban": grouped}, status=201)
    card = {"holder_name": "Ada Lovelace", "exp_month": 1, "exp_year": 2031, "cvv": "737"}
    for number in ("0" * 16, "3400000000000000", "4242424242424241"):
        answer = person.request("POST", "/cards", card | {"number": number})
        assert expect(answer, 400)["errors"][0]["pointer"] == "/number"
    spaced = " ".join(re.findall("....", card_number()))
    person.post("/cards", card | {"number": spaced}, status=201)
    assert "VED" in [each["code"] for each in person.get("/currencies")["data"]]


def test_a_merge_patch_is_a_patch(platform: Platform) -> None:
    person = platform.person()
    as_patch = {"Content-Type": "application/merge-patch+json"}
    answer = person.request("PATCH", "/auth/me", b'{"first_name": "Zo\xc3\xab"}', headers=as_patch)
    assert expect(answer, 200)["first_name"] == "Zoë"
    account = f"/accounts/{person.accounts['USD']}"
    assert expect(person.request("PATCH", account, b'{"name": "Rent"}', headers=as_patch), 200)["name"] == "Rent"
    posted = person.request("POST", "/accounts", b'{"currency": "EUR"}', headers=as_patch)
    assert refusal(posted) == (415, "unsupported_media_type")


def test_an_optional_null_is_the_same_request(platform: Platform, bob: Person) -> None:
    person, key = platform.person(funds=1000), new_key()
    first = person.transfer({"user_id": bob.user_id}, 100, key=key)
    again = person.transfer({"user_id": bob.user_id}, 100, key=key, description=None, metadata=None)
    assert (again.status, again.content) == (first.status, first.content) and first.status == 201
    assert again.header("idempotent-replayed") == "true"
    other = person.transfer({"user_id": bob.user_id}, 100, key=key, description="Tea")
    assert refusal(other) == (422, "idempotency_key_reused")


def test_problems_are_in_our_words(platform: Platform) -> None:
    person = platform.person()
    body = {"amount": "1", "currency": 5, "destination": {"account_id": "x", "other": 1}, "unknown": 1, "metadata": []}
    document = expect(person.request("POST", "/transfers", body, key=new_key()), 400)
    assert document["detail"] != document["title"]
    text = json.dumps(document)
    for theirs in ("String should", "Input should", "Extra inputs", "Value error", "pattern", "pydantic", "valid dict"):
        assert theirs not in text
    assert {"/amount", "/currency", "/unknown", "/metadata"} <= {error["pointer"] for error in document["errors"]}
