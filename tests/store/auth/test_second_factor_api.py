"""Second factors, passwords and addresses through the handlers, with moto as AWS."""

from typing import Any

import pyotp
import pytest
from common.dynamo import Table

from functions.auth.api import email, me, password_change, phone, reauthenticate, totp
from functions.auth.tasks import check_code, mint_code, request_code
from tests.store.auth.client import ADA, CREDENTIALS, HANDLERS, ask, authorize, post, sign_in_verified
from tests.support.rest import CONTEXT, Answer, event, principal, send

NEW = {"email": "countess@example.com", "phone": "+14155550100", "password": "difference engine"}


class Ada:
    """Ada, signed in."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.token: str = sign_in_verified()["access_token"]

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return ask(self.token, method, path, body)

    def code(self, purpose: str) -> dict[str, Any]:
        (challenge,) = [item["challenge_id"] for item in self.table.scan() if item["sk"].startswith(f"Q#{purpose}")]
        minted: dict[str, Any] = mint_code.handler({"challenge_id": challenge}, CONTEXT)
        assert minted["outcome"] == "minted"
        return minted


@pytest.fixture
def ada(table: Table) -> Ada:
    return Ada(table)


def test_login_by_mailed_code(ada: Ada) -> None:
    assert ada.ask("PATCH", "/auth/me", {"second_factor": "email"}).json["second_factor"] == "email"
    challenged = post("/auth/login", CREDENTIALS)
    assert challenged.status == 200
    assert challenged.json == {"challenge_id": challenged.json["challenge_id"], "methods": ["email"]}
    assert "set-cookie" not in challenged.headers
    again = post("/auth/resend-code", {"challenge_id": challenged.json["challenge_id"]})
    assert (again.status, again.text, again.headers["location"]) == (202, "", ["/v1/auth/login/verify"])
    code = ada.code("login")["code"]
    granted = post("/auth/login/verify", {"challenge_id": challenged.json["challenge_id"], "code": code})
    assert set(granted.json) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert granted.headers["set-cookie"][0].startswith("remit_refresh=")
    assert code not in str(list(ada.table.scan()))
    again = post("/auth/login/verify", {"challenge_id": challenged.json["challenge_id"], "code": code})
    assert (again.status, again.code) == (422, "invalid_code")


def test_login_by_app_and_by_recovery_code(ada: Ada) -> None:
    enrolled = ada.ask("POST", "/auth/totp")
    assert enrolled.status == 201
    assert set(enrolled.json) == {"secret", "otpauth_uri", "recovery_codes"}
    app = pyotp.parse_uri(enrolled.json["otpauth_uri"])
    assert isinstance(app, pyotp.TOTP)
    kept = str(list(ada.table.scan()))
    assert enrolled.json["secret"] not in kept
    assert not any(code in kept for code in enrolled.json["recovery_codes"])
    assert ada.ask("POST", "/auth/totp/confirm", {"code": app.now()}).status == 204
    assert ada.ask("POST", "/auth/totp").code == "invalid_state"
    assert ada.ask("GET", "/auth/me").json["second_factor"] == "totp"

    challenged = post("/auth/login", CREDENTIALS).json
    assert challenged["methods"] == ["totp", "recovery"]
    challenge = {"challenge_id": challenged["challenge_id"]}
    assert post("/auth/login/verify", {**challenge, "code": app.now()}).code == "invalid_code"
    recovery = enrolled.json["recovery_codes"]
    assert post("/auth/login/verify", {**challenge, "code": recovery[0]}).status == 200

    disable = {"password": ADA["password"], "code": recovery[1]}
    assert ada.ask("POST", "/auth/totp/disable", {**disable, "password": "wrong"}).code == "invalid_credentials"
    assert ada.ask("POST", "/auth/totp/disable", {**disable, "code": recovery[0]}).code == "invalid_code"
    assert ada.ask("POST", "/auth/totp/disable", disable).status == 204
    assert "access_token" in post("/auth/login", CREDENTIALS).json


class TestReauthentication:
    def test_by_password_gives_tokens_as_a_login_in_the_same_session(self, ada: Ada) -> None:
        answer = ada.ask("POST", "/auth/reauthenticate", {"password": ADA["password"]})
        assert answer.status == 200
        assert set(answer.json) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
        assert answer.headers["set-cookie"][0].startswith(f"remit_refresh={answer.json['refresh_token']};")
        assert len(ada.ask("GET", "/auth/sessions").json["data"]) == 1
        assert ask(answer.json["access_token"], "GET", "/auth/me").status == 200
        assert post("/auth/refresh", {"refresh_token": answer.json["refresh_token"]}).status == 200
        assert ada.ask("POST", "/auth/reauthenticate", {"password": "wrong"}).code == "invalid_credentials"

    def test_by_mail(self, ada: Ada) -> None:
        ada.ask("PATCH", "/auth/me", {"second_factor": "email"})
        asked = ada.ask("POST", "/auth/reauthenticate", {"password": ADA["password"]})
        assert (asked.status, asked.text, asked.headers["location"]) == (202, "", ["/v1/auth/reauthenticate"])
        assert "set-cookie" not in asked.headers
        code = ada.code("login")["code"]
        body = {"password": ADA["password"], "code": code}
        assert ada.ask("POST", "/auth/reauthenticate", body).status == 200
        again = ada.ask("POST", "/auth/reauthenticate", body)
        assert (again.status, again.code) == (422, "invalid_code")

    def test_by_recovery_code(self, ada: Ada) -> None:
        enrolled = ada.ask("POST", "/auth/totp").json
        app = pyotp.TOTP(enrolled["secret"])
        assert ada.ask("POST", "/auth/totp/confirm", {"code": app.now()}).status == 204
        body = {"password": ADA["password"], "code": enrolled["recovery_codes"][0]}
        assert ada.ask("POST", "/auth/reauthenticate", body).status == 200
        assert ada.ask("POST", "/auth/reauthenticate", {**body, "code": app.now()}).code == "invalid_code"


RECENT = [
    ("POST", "/auth/phone", {"phone": NEW["phone"]}),
    ("POST", "/auth/phone/confirm", {"code": "123456"}),
    ("POST", "/auth/totp", None),
    ("POST", "/auth/totp/confirm", {"code": "123456"}),
    ("POST", "/auth/totp/disable", {"password": "x", "code": "123456"}),
    ("POST", "/auth/api-keys", {"name": "server", "scopes": ["payments"]}),
]


@pytest.mark.parametrize(("method", "path", "body"), RECENT, ids=[path for _, path, _ in RECENT])
@pytest.mark.parametrize(
    ("seconds", "verified", "code"),
    [
        (302, True, "reauthentication_required"),
        (302, False, "reauthentication_required"),
        (0, False, "email_not_verified"),
    ],
)
def test_a_stolen_token_or_an_unverified_user_changes_nothing_that_lasts(
    table: Table, method: str, path: str, body: Any, seconds: float, verified: bool, code: str
) -> None:
    caller = principal("usr_01K0000000000000000000000A", email_verified=verified, logged_in_seconds_ago=seconds)
    answer = send(HANDLERS[path].handler, event(method, path, body=body, caller=caller))
    assert (answer.status, answer.code) == (403, code)
    assert not list(table.scan())


def test_a_stolen_token_does_not_outlive_a_reset(ada: Ada) -> None:
    """The attack of the issue: a thief makes an API key and an app, the owner resets the password."""
    key = ada.ask("POST", "/auth/api-keys", {"name": "server", "scopes": ["payments"]}).json["key"]
    enrolled = ada.ask("POST", "/auth/totp").json
    post("/auth/password/forgot", {"email": "ada@example.com"})
    code = ada.code("reset_password")["code"]
    body = {"email": "ada@example.com", "code": code, "new_password": NEW["password"]}
    assert post("/auth/password/reset", body).status == 204
    for token in (ada.token, key):
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorize(f"Bearer {token}")
    granted = post("/auth/login", {**CREDENTIALS, "password": NEW["password"]}).json
    assert ask(granted["access_token"], "GET", "/auth/api-keys").json["data"] == []
    confirm = ask(granted["access_token"], "POST", "/auth/totp/confirm", {"code": pyotp.TOTP(enrolled["secret"]).now()})
    assert confirm.code == "invalid_state"


def test_a_changed_password(ada: Ada) -> None:
    other = post("/auth/login", CREDENTIALS).json
    body = {"current_password": ADA["password"], "new_password": NEW["password"]}
    assert ada.ask("POST", "/auth/password/change", {**body, "new_password": "password1"}).code == "weak_password"
    assert ada.ask("POST", "/auth/password/change", body).status == 204
    assert ada.ask("GET", "/auth/me").status == 200
    assert post("/auth/refresh", {"refresh_token": other["refresh_token"]}).code == "invalid_refresh_token"
    assert ada.ask("POST", "/auth/password/change", body).code == "invalid_credentials"


def test_a_forgotten_password(ada: Ada) -> None:
    for address in ("ada@example.com", "nobody@example.com", "ada@example.com"):
        answer = post("/auth/password/forgot", {"email": address})
        assert (answer.status, answer.text) == (202, "")
        assert answer.headers["location"] == ["/v1/auth/password/reset"]
    body = {"email": "ada@example.com", "code": ada.code("reset_password")["code"], "new_password": NEW["password"]}
    assert post("/auth/password/reset", {**body, "email": "nobody@example.com"}).code == "invalid_code"
    assert post("/auth/password/reset", body).status == 204
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        ada.ask("GET", "/auth/me")
    assert post("/auth/login", {**CREDENTIALS, "password": NEW["password"]}).status == 200


def test_a_changed_address(ada: Ada) -> None:
    body = {"new_email": NEW["email"].upper(), "password": ADA["password"]}
    assert ada.ask("POST", "/auth/email/change", {**body, "password": "wrong"}).code == "invalid_credentials"
    asked = ada.ask("POST", "/auth/email/change", body)
    assert (asked.status, asked.headers["location"]) == (202, ["/v1/auth/email/confirm"])
    minted = ada.code("change_email")
    assert minted["address"] == NEW["email"]
    confirmed = ada.ask("POST", "/auth/email/confirm", {"code": minted["code"]})
    assert (confirmed.status, confirmed.json["email"], confirmed.json["email_verified"]) == (200, NEW["email"], True)
    assert ada.ask("POST", "/auth/email/change", body).code == "email_taken"
    assert post("/auth/register", {**ADA, "phone": None}).status == 201


def test_a_phone_number(ada: Ada) -> None:
    asked = ada.ask("POST", "/auth/phone", {"phone": NEW["phone"]})
    assert (asked.status, asked.headers["location"]) == (202, ["/v1/auth/phone/confirm"])
    minted = ada.code("verify_phone")
    assert (minted["address"], minted["purpose"]) == (NEW["phone"], "verify_phone")
    confirmed = ada.ask("POST", "/auth/phone/confirm", {"code": minted["code"]})
    assert (confirmed.json["phone"], confirmed.json["phone_verified"]) == (NEW["phone"], True)
    refused = ada.ask("POST", "/auth/phone", {"phone": ADA["phone"]})
    assert (refused.status, refused.code) == (429, "rate_limited")


def test_names(ada: Ada) -> None:
    changed = ada.ask("PATCH", "/auth/me", {"first_name": "Augusta"})
    assert (changed.status, changed.json["first_name"], changed.json["last_name"]) == (200, "Augusta", "Lovelace")
    missing = ada.ask("PATCH", "/auth/me", {"second_factor": "email"})
    assert missing.json["second_factor"] == "email"
    missing = ada.ask("PATCH", "/auth/me", {"second_factor": "none"})
    assert (missing.status, missing.json["errors"][0]["pointer"]) == (400, "/password")


def test_codes_for_another_context(ada: Ada) -> None:
    user = ada.ask("GET", "/auth/me").json["id"]
    about = {"user_id": user, "purpose": "pin_reset", "subject": "acc_1"}
    actor = {"user_id": user, "session_id": None, "ip": "203.0.113.7", "user_agent": "tests"}
    assert request_code.handler({**about, "actor": actor}, CONTEXT) == {"outcome": "done"}
    too_soon = request_code.handler({**about, "actor": actor}, CONTEXT)["refusal"]
    assert too_soon["code"] == "rate_limited"
    assert 1 <= too_soon["retry_after"] <= 60
    code = ada.code("pin_reset")["code"]
    wrong = {"refusal": {"code": "invalid_code", "detail": "", "retry_after": None}}
    assert check_code.handler({**about, "subject": "acc_2", "code": code}, CONTEXT) == wrong
    assert check_code.handler({**about, "code": code}, CONTEXT) == {"outcome": "done"}
    assert check_code.handler({**about, "code": code}, CONTEXT) == wrong


PERSONAL = [
    (password_change, "POST", "/auth/password/change", {"current_password": "x", "new_password": "x"}),
    (email, "POST", "/auth/email/change", {"new_email": NEW["email"], "password": "x"}),
    (email, "POST", "/auth/email/confirm", {"code": "123456"}),
    (phone, "POST", "/auth/phone", {"phone": NEW["phone"]}),
    (phone, "POST", "/auth/phone/confirm", {"code": "123456"}),
    (totp, "POST", "/auth/totp", None),
    (totp, "POST", "/auth/totp/confirm", {"code": "123456"}),
    (totp, "POST", "/auth/totp/disable", {"password": "x", "code": "123456"}),
    (me, "PATCH", "/auth/me", {"first_name": "Eve"}),
    (reauthenticate, "POST", "/auth/reauthenticate", {"password": "x"}),
]


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("module", "method", "path", "body"), PERSONAL, ids=lambda each: each if isinstance(each, str) else ""
)
def test_endpoints_about_the_user_refuse_api_keys(module: Any, method: str, path: str, body: Any) -> None:
    assert send(module.handler, event(method, path, body=body)).code == "unauthenticated"
    key = principal("usr_01K0000000000000000000000A") | {"session_id": "key_01K0000000000000000000000A"}
    assert send(module.handler, event(method, path, body=body, caller=key)).code == "forbidden"


LONG = "x" * 129


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("POST", "/auth/login/verify", {"challenge_id": "x"}, "/code"),
        ("POST", "/auth/login/verify", {"challenge_id": LONG, "code": "123456"}, "/challenge_id"),
        ("POST", "/auth/login/verify", {"challenge_id": "x", "code": LONG}, "/code"),
        ("POST", "/auth/password/change", {"current_password": "x", "new_password": LONG}, "/new_password"),
        ("POST", "/auth/password/reset", {"email": "a@example.com", "code": "1", "new_password": "x"}, "/code"),
        ("POST", "/auth/password/forgot", {"email": "x"}, "/email"),
        ("POST", "/auth/email/change", {"new_email": "x", "password": "x"}, "/new_email"),
        ("POST", "/auth/phone", {"phone": "0151"}, "/phone"),
        ("POST", "/auth/totp", {"secret": "x"}, "/secret"),
        ("POST", "/auth/totp/disable", {"password": "x", "code": 123456}, "/code"),
        ("PATCH", "/auth/me", {"second_factor": "totp"}, "/second_factor"),
        ("PATCH", "/auth/me", {"first_name": None}, "/first_name"),
        ("PATCH", "/auth/me", {"role": "admin"}, "/role"),
    ],
)
def test_a_bad_body_is_refused_and_changes_nothing(
    table: Table, method: str, path: str, body: Any, pointer: str
) -> None:
    caller = principal("usr_01K0000000000000000000000A")
    answer = send(HANDLERS[path].handler, event(method, path, body=body, caller=caller))
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert pointer in [error["pointer"] for error in answer.json["errors"]]
    assert not list(table.scan())
