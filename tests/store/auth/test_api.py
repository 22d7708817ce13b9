import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from common import retry
from common.aws import keyring
from common.config import config
from common.dynamo import Table
from common.errors import Stale
from common.observability import logger

from functions.auth.models.headers import check_origin
from functions.auth.store import AuthStore
from tests.store.auth.client import (
    ADA,
    CREDENTIALS,
    HANDLERS,
    Lines,
    authorize,
    find,
    get_me,
    mail,
    post,
    sign_in,
)
from tests.support.rest import event, principal, send
from tests.unit.auth.world import refused

pytestmark = pytest.mark.usefixtures("table")


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The log lines of level INFO and above."""
    lines, level = Lines(), logger().log_level
    logger().setLevel("INFO")
    logger().addHandler(lines)
    yield lines
    logger()._logger.removeHandler(lines)
    logger().setLevel(level)


def cookie_of(header: str) -> str:
    return header.split(";", maxsplit=1)[0]


def test_a_user_registers_signs_in_verifies_refreshes_and_logs_out(table: Table, lines: Lines) -> None:
    registered = post("/auth/register", ADA)
    user = registered.json
    assert registered.status == 201
    assert registered.headers["location"] == [f"/v1/users/{user['id']}"]
    assert user == {
        "id": user["id"],
        "email": "ada@example.com",
        "email_verified": False,
        "phone": "+4915112345678",
        "phone_verified": False,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "role": "customer",
        "status": "active",
        "second_factor": "none",
        "created_at": user["created_at"],
        "updated_at": user["created_at"],
    }
    assert find(email="ada@example.com")["outcome"] == "not_found"

    granted = post("/auth/login", CREDENTIALS).json
    assert {name: granted[name] for name in ("token_type", "expires_in", "user")} == {
        "token_type": "Bearer",
        "expires_in": 900,
        "user": user,
    }
    assert authorize(f"Bearer {granted['access_token']}")["context"]["email_verified"] == "false"

    code = mail(table)
    verified = post("/auth/verify-email", {"email": "ada@example.com", "code": code})
    assert (verified.status, verified.text) == (204, "")
    assert find(email="ada@example.com")["user_id"] == user["id"]

    refreshed = post("/auth/refresh", {"refresh_token": granted["refresh_token"]}).json
    assert refreshed["user"]["email_verified"] is True
    assert authorize(f"Bearer {refreshed['access_token']}")["context"]["email_verified"] == "true"
    assert get_me(refreshed["access_token"]).json == refreshed["user"]

    assert post("/auth/logout", Authorization=f"Bearer {refreshed['access_token']}").status == 204
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(f"Bearer {refreshed['access_token']}")
    assert post("/auth/refresh", {"refresh_token": refreshed["refresh_token"]}).code == "invalid_refresh_token"

    secrets = [ADA["password"], code, granted["access_token"], granted["refresh_token"], refreshed["refresh_token"]]
    stored = str(list(table.scan()))
    assert len(lines.records) >= 10
    assert not any(secret in lines.text or secret in stored for secret in secrets)


def test_a_browser_stores_its_refresh_token_in_the_cookie() -> None:
    sign_in()
    answer = post("/auth/login", CREDENTIALS)
    (kept,) = answer.headers["set-cookie"]
    attributes = "Path=/v1/auth; Max-Age=2592000; HttpOnly; SameSite=Strict"
    assert kept == f"remit_refresh={answer.json['refresh_token']}; {attributes}"

    refreshed = post("/auth/refresh", Cookie=f"other=1; {cookie_of(kept)}", Origin="http://localhost:5173")
    assert refreshed.status == 200
    assert set(refreshed.json) == {"access_token", "token_type", "expires_in", "user"}
    (following,) = refreshed.headers["set-cookie"]
    assert cookie_of(following) != cookie_of(kept)

    left = post("/auth/logout", Cookie=cookie_of(following))
    assert left.status == 204
    assert left.headers["set-cookie"] == ["remit_refresh=; Path=/v1/auth; Max-Age=0; HttpOnly; SameSite=Strict"]
    assert post("/auth/refresh", Cookie=cookie_of(following)).code == "invalid_refresh_token"


def test_a_token_in_the_body_wins_over_the_cookie() -> None:
    first, second = sign_in(), post("/auth/login", CREDENTIALS).json
    answer = post(
        "/auth/refresh",
        {"refresh_token": first["refresh_token"]},
        Cookie=f"remit_refresh={second['refresh_token']}",
    )
    assert answer.json["refresh_token"].split(".")[:2] == first["refresh_token"].split(".")[:2]
    assert post("/auth/refresh", {"refresh_token": second["refresh_token"]}).status == 200


@pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}, {"refresh_token": "x"}])
def test_a_refresh_needs_a_token(body: Any) -> None:
    answer = post("/auth/refresh", body)
    assert (answer.status, answer.code) == (401, "invalid_refresh_token")


def test_logout_with_invalid_unicode_is_refused() -> None:
    assert post("/auth/logout", authorization="Bearer \ud800.x.y").code == "unauthenticated"


def test_logout_accepts_any_token_repeatedly_and_needs_one() -> None:
    granted = sign_in()
    for _ in range(2):
        assert post("/auth/logout", Authorization=f"bearer {granted['access_token']}").status == 204
        assert post("/auth/logout", {"refresh_token": granted["refresh_token"]}).status == 204
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        answer = post("/auth/logout", **headers)
        assert (answer.status, answer.code) == (401, "unauthenticated")


class TestOrigins:
    @pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
    @pytest.mark.parametrize(
        "origin",
        ["https://evil.example", "null", "", "http://localhost.evil.example", "https://app.remit.example.evil.example"],
    )
    def test_another_origin_is_refused_and_changes_nothing(self, path: str, origin: str) -> None:
        granted = sign_in()
        answer = post(path, Cookie=f"remit_refresh={granted['refresh_token']}", Origin=origin)
        assert (answer.status, answer.code) == (403, "forbidden")
        assert post("/auth/refresh", {"refresh_token": granted["refresh_token"]}).status == 200

    @pytest.mark.parametrize("origin", ["https://app.remit.example", "https://api.remit.example", None])
    def test_our_own_origins_are_allowed_in_every_environment(
        self, monkeypatch: pytest.MonkeyPatch, origin: str | None
    ) -> None:
        monkeypatch.setenv("ENVIRONMENT", "prod")
        config.cache_clear()
        check_origin(origin)

    def test_localhost_is_allowed_only_in_local_environments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for origin in ("http://localhost:5173", "http://127.0.0.1:3000", "http://localhost"):
            check_origin(origin)
        for origin in ("https://[oops", "http://127.0.0.1.nip.io", "ftp://localhost"):
            refused("forbidden", check_origin, origin)
        monkeypatch.setenv("ENVIRONMENT", "prod")
        config.cache_clear()
        refused("forbidden", check_origin, "http://localhost:5173")


def test_the_cookie_is_secure_outside_local_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "prod")
    config.cache_clear()
    assert post("/auth/register", ADA).status == 201
    (kept,) = post("/auth/login", CREDENTIALS).headers["set-cookie"]
    assert kept.endswith("; Path=/v1/auth; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict")


def test_registering_twice_is_refused(table: Table) -> None:
    post("/auth/register", ADA)
    before = [item for item in table.scan() if item["sk"] != "T"]
    assert post("/auth/register", ADA).code == "email_taken"
    assert post("/auth/register", {**ADA, "email": "grace@example.com"}).code == "phone_taken"
    assert [item for item in table.scan() if item["sk"] != "T"] == before


@pytest.mark.parametrize("password", ["password123", "1234567", "12345678", "ada@example.com", "Lovelace1815"])
def test_a_weak_password_is_refused(table: Table, password: str) -> None:
    answer = post("/auth/register", {**ADA, "password": password})
    assert (answer.status, answer.code) == (422, "weak_password")
    assert not list(table.scan())


def test_an_address_registers_twenty_users_an_hour(table: Table) -> None:
    for number in range(20):
        assert post("/auth/register", {**ADA, "email": f"u{number}@example.com", "phone": None}).status == 201
    answer = post("/auth/register", {**ADA, "email": "u20@example.com", "phone": None})
    assert (answer.status, answer.code) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"][0]) <= 3600
    assert find(email="u20@example.com")["outcome"] == "not_found"


@pytest.mark.parametrize("known", [True, False])
def test_each_request_that_names_an_email_logs_its_keyed_digest_and_never_the_email(lines: Lines, known: bool) -> None:
    if known:
        post("/auth/register", ADA)
    lines.records.clear()
    email = {"email": "ada@example.com"}
    post("/auth/register", {**ADA, "password": "password1"})
    post("/auth/login", {**email, "password": "wrong"})
    post("/auth/password/forgot", email)
    post("/auth/password/reset", {**email, "code": "123456", "new_password": "difference engine"})
    post("/auth/verify-email", {**email, "code": "123456"})
    post("/auth/resend-code", email)
    given = [record for record in lines.records if record.getMessage() == "email address given"]
    assert [vars(record)["path"].removeprefix("/v1/auth/") for record in given] == [
        "register",
        "login",
        "password/forgot",
        "password/reset",
        "verify-email",
        "resend-code",
    ]
    digests = {vars(record)["email_digest"] for record in given}
    assert digests == {keyring("email").digest("ada@example.com")}
    assert all((vars(record)["ip"], vars(record)["user_agent"]) == ("203.0.113.7", "tests") for record in given)
    assert "ada@" not in lines.text.lower()


@pytest.mark.parametrize("known", [True, False])
def test_resend_returns_the_same_for_known_and_unknown_emails(known: bool) -> None:
    if known:
        post("/auth/register", ADA)
    first = post("/auth/resend-code", {"email": "ada@example.com"})
    assert (first.status, first.text) == (202, "")
    assert first.headers["location"] == ["/v1/auth/verify-email"]
    second = post("/auth/resend-code", {"email": "ADA@example.com"})
    assert (second.status, second.code) == (429, "rate_limited")
    assert 1 <= int(second.headers["retry-after"][0]) <= 60


def test_resend_by_challenge_returns_the_same_for_an_unknown_challenge() -> None:
    first = post("/auth/resend-code", {"challenge_id": "chl_01K0000000000000000000000A"})
    assert (first.status, first.headers["location"]) == (202, ["/v1/auth/login/verify"])
    assert post("/auth/resend-code", {"challenge_id": "chl_01K0000000000000000000000A"}).status == 429


def test_wrong_codes_and_unknown_addresses_look_alike(table: Table) -> None:
    post("/auth/register", ADA)
    right = mail(table)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for _ in range(5):
        answer = post("/auth/verify-email", {"email": "ada@example.com", "code": wrong})
        assert (answer.status, answer.code) == (422, "invalid_code")
    assert post("/auth/verify-email", {"email": "ada@example.com", "code": right}).code == "invalid_code"
    assert post("/auth/verify-email", {"email": "nobody@example.com", "code": right}).code == "invalid_code"


def test_five_failed_logins_cause_a_wait_for_known_and_unknown_emails() -> None:
    post("/auth/register", ADA)
    for email in ("ada@example.com", "nobody@example.com"):
        for _ in range(5):
            answer = post("/auth/login", {"email": email, "password": "wrong"})
            assert (answer.status, answer.code) == (401, "invalid_credentials")
        answer = post("/auth/login", {"email": email, "password": ADA["password"]})
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert 1 <= int(answer.headers["retry-after"][0]) <= 30


def test_repeated_conflicts_answer_503_with_retry_after(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def conflict(*_: Any) -> None:
        raise Stale

    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=lambda _: None))
    post("/auth/register", ADA)
    monkeypatch.setattr(AuthStore, "update_user", conflict)
    answer = post("/auth/verify-email", {"email": "ada@example.com", "code": mail(table)})
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "unavailable", ["1"])


LONG = "x" * 129


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/auth/register", {**ADA, "role": "admin"}, "/role"),
        ("/auth/register", {**ADA, "email_verified": True}, "/email_verified"),
        ("/auth/register", {**ADA, "password": ""}, "/password"),
        ("/auth/register", {**ADA, "password": LONG}, "/password"),
        ("/auth/register", {**ADA, "password": 12345678}, "/password"),
        ("/auth/register", {**ADA, "email": "ada"}, "/email"),
        ("/auth/register", {**ADA, "email": None}, "/email"),
        ("/auth/register", {**ADA, "phone": "0151 12345678"}, "/phone"),
        ("/auth/register", {**ADA, "first_name": " "}, "/first_name"),
        ("/auth/register", {**ADA, "last_name": "a\nb"}, "/last_name"),
        ("/auth/register", {**ADA, "last_name": "Lovelace 2"}, "/last_name"),
        ("/auth/register", {**ADA, "last_name": "x" * 61}, "/last_name"),
        ("/auth/register", {**ADA, "first_name": "A\u200bda"}, "/first_name"),
        ("/auth/register", {**ADA, "first_name": "R\u0435m\u0456t"}, "/first_name"),
        ("/auth/register", {**ADA, "first_name": "Re", "last_name": "mit"}, "/last_name"),
        ("/auth/register", {**ADA, "first_name": 5, "last_name": "mit"}, "/first_name"),
        ("/auth/reauthenticate", {}, "/password"),
        ("/auth/reauthenticate", {"password": "x", "code": ""}, "/code"),
        ("/auth/reauthenticate", {"password": "x", "totp": "123456"}, "/totp"),
        ("/auth/register", '{"email": "\\ud800@example.com"}', "/email"),
        ("/auth/verify-email", {"email": "ada@example.com", "code": 123456}, "/code"),
        ("/auth/verify-email", {"email": "ada@example.com", "code": "12345"}, "/code"),
        ("/auth/verify-email", {"email": "ada@example.com", "code": "123456\n"}, "/code"),
        ("/auth/verify-email", {"email": "ada@example.com", "code": "\u0661\u0662\u0663\u0664\u0665\u0666"}, "/code"),
        ("/auth/resend-code", {}, ""),
        ("/auth/resend-code", {"email": "ada@example.com", "challenge_id": "x"}, ""),
        ("/auth/resend-code", {"challenge_id": LONG}, "/challenge_id"),
        ("/auth/login", {"email": "ada@example.com"}, "/password"),
        ("/auth/login", {**CREDENTIALS, "password": ""}, "/password"),
        ("/auth/login", {**CREDENTIALS, "password": LONG}, "/password"),
        ("/auth/login", {**CREDENTIALS, "password": {"$ne": ""}}, "/password"),
        ("/auth/refresh", {"refresh_token": ""}, "/refresh_token"),
        ("/auth/refresh", {"refresh_token": ["x"]}, "/refresh_token"),
        ("/auth/logout", {"token": "x"}, "/token"),
    ],
)
def test_a_bad_body_is_refused_and_changes_nothing(table: Table, path: str, body: Any, pointer: str) -> None:
    caller = principal("usr_01K0000000000000000000000A")
    answer = send(HANDLERS[path].handler, event("POST", path, body=body, caller=caller))
    assert (answer.status, answer.code) == (400, "validation_failed")
    assert pointer in [error["pointer"] for error in answer.json["errors"]]
    assert not list(table.scan())


def test_a_password_of_128_astral_characters_is_accepted() -> None:
    password = "\U0001f9ee" * 127
    assert post("/auth/register", {**ADA, "password": password + "a"}).status == 201
    assert post("/auth/login", {**CREDENTIALS, "password": password + "b"}).code == "invalid_credentials"
    assert post("/auth/login", {**CREDENTIALS, "password": password + "a"}).status == 200


@pytest.mark.parametrize("path", sorted(HANDLERS))
def test_a_wrong_method_is_405(path: str) -> None:
    concrete = dict.fromkeys(re.findall(r"{(\w+)}", path), "x")
    answer = send(HANDLERS[path].handler, event("PUT", path, path=concrete))
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    served = sorted(method for method, route in HANDLERS[path].api.routes if route == path)
    assert answer.headers["allow"] == [", ".join(served)]


def test_me_needs_an_existing_caller() -> None:
    assert send(HANDLERS["/auth/me"].handler, event("GET", "/auth/me")).code == "unauthenticated"
    gone = {"user_id": "usr_01K0000000000000000000000A", "role": "customer", "session_id": "s"}
    assert send(HANDLERS["/auth/me"].handler, event("GET", "/auth/me", caller=gone)).code == "unauthenticated"


def test_an_access_token_can_be_verified_with_the_published_keys() -> None:
    token = sign_in()["access_token"]

    def get(path: str) -> Any:
        answer = send(HANDLERS[path].handler, event("GET", path))
        assert answer.status == 200
        assert answer.headers["cache-control"] == ["public, max-age=300"]
        return answer.json

    metadata = get("/.well-known/openid-configuration")
    assert metadata["issuer"] == "https://api.remit.example"
    assert metadata["jwks_uri"] == "https://api.remit.example/v1/.well-known/jwks.json"
    keys = jwt.PyJWKSet.from_dict(get("/.well-known/jwks.json"))
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        metadata["id_token_signing_alg_values_supported"],
        issuer=metadata["issuer"],
        audience="https://api.remit.example/v1",
    )
    assert claims["exp"] - claims["iat"] == 900


def test_find_user_by_id() -> None:
    user = post("/auth/register", ADA).json
    found = find(user_id=user["id"])
    assert (found["outcome"], found["email"], found["sequence"]) == ("found", "ada@example.com", 1)
    assert "password_hash" not in found
