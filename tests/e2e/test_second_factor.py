"""Logins with a second factor: a mailed code, an authenticator app, a recovery code."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.client import PASSWORD, App, Client, Person, expect, other_code
from tests.e2e.platform import Platform
from tools.http import Answer


def begin(person: Person) -> Any:
    """Log in with the password, and return the challenge. There are no tokens or cookies yet."""
    answer = person.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD})
    challenged = expect(answer, 200)
    assert set(challenged) == {"challenge_id", "methods"}
    assert not answer.headers.get("set-cookie")
    return challenged


def finish(platform: Platform, challenged: Any, code: str) -> Answer:
    body = {"challenge_id": challenged["challenge_id"], "code": code}
    return platform.client.request("POST", "/auth/login/verify", body)


@pytest.fixture
def person(platform: Platform) -> Person:
    return platform.person()


def test_a_login_with_a_mailed_code(platform: Platform, person: Person) -> None:
    known = len(platform.codes(person.email))
    assert expect(person.request("PATCH", "/auth/me", {"second_factor": "email"}), 200)["second_factor"] == "email"
    challenged = begin(person)
    assert challenged["methods"] == ["email"]
    code = platform.next_code(person.email, known)
    assert expect(finish(platform, challenged, other_code(code)), 422)["code"] == "invalid_code"
    again = platform.client.request("POST", "/auth/resend-code", {"challenge_id": challenged["challenge_id"]})
    expect(again, 202)
    second = platform.next_code(person.email, known + 1)
    once = platform.client.request("POST", "/auth/resend-code", {"challenge_id": challenged["challenge_id"]})
    assert expect(once, 429)["code"] == "rate_limited"
    answer = finish(platform, challenged, second)
    granted = expect(answer, 200)
    assert set(granted) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert answer.headers["set-cookie"][0].startswith("remit_refresh=")
    assert Client(person.url, granted["access_token"]).get("/auth/me")["id"] == person.user_id
    assert expect(finish(platform, challenged, second), 422)["code"] == "invalid_code"


def test_mailed_codes_need_a_verified_address_and_turning_them_off_the_password(
    platform: Platform, person: Person
) -> None:
    fresh = platform.register()
    fresh.login()
    refused = fresh.request("PATCH", "/auth/me", {"second_factor": "email"})
    assert expect(refused, 403)["code"] == "email_not_verified"
    expect(person.request("PATCH", "/auth/me", {"second_factor": "email"}), 200)
    missing = expect(person.request("PATCH", "/auth/me", {"second_factor": "none"}), 400)
    assert missing["errors"][0]["pointer"] == "/password"
    off = person.request("PATCH", "/auth/me", {"second_factor": "none", "password": PASSWORD})
    assert expect(off, 200)["second_factor"] == "none"
    person.login()


def test_a_login_with_an_authenticator_app(platform: Platform, person: Person) -> None:
    enrolment = person.post("/auth/totp", status=201)
    assert set(enrolment) == {"secret", "otpauth_uri", "recovery_codes"}
    app = App(enrolment)
    code = app.code()
    assert (
        expect(person.request("POST", "/auth/totp/confirm", {"code": other_code(code)}), 422)["code"] == "invalid_code"
    )
    person.post("/auth/totp/confirm", {"code": code}, status=204)
    assert person.get("/auth/me")["second_factor"] == "totp"
    assert expect(person.request("POST", "/auth/totp"), 409)["code"] == "invalid_state"

    challenged = begin(person)
    assert challenged["methods"] == ["totp", "recovery"]
    assert expect(finish(platform, challenged, code), 422)["code"] == "invalid_code"
    login = app.code()
    with ThreadPoolExecutor(5) as pool:
        statuses = list(pool.map(lambda _: finish(platform, challenged, login).status, range(5)))
    assert sorted(statuses) == [200, 422, 422, 422, 422]

    recovery = app.recovery_codes[0]
    expect(finish(platform, begin(person), recovery), 200)
    assert expect(finish(platform, begin(person), recovery), 422)["code"] == "invalid_code"

    body = {"password": PASSWORD, "code": app.recovery_codes[1]}
    refused = person.request("POST", "/auth/totp/disable", {**body, "password": "not the password"})
    assert expect(refused, 401)["code"] == "invalid_credentials"
    person.post("/auth/totp/disable", body, status=204)
    person.login()


def test_a_user_has_ten_wrong_second_factors_a_day(platform: Platform, person: Person) -> None:
    app = App(person.post("/auth/totp", status=201))
    person.post("/auth/totp/confirm", {"code": app.code()}, status=204)
    for _ in range(2):
        challenged = begin(person)
        for _ in range(5):
            assert expect(finish(platform, challenged, "00000-00000"), 422)["code"] == "invalid_code"
        assert expect(finish(platform, challenged, app.recovery_codes[0]), 422)["code"] == "invalid_code"
    assert expect(finish(platform, begin(person), app.recovery_codes[0]), 422)["code"] == "invalid_code"


def test_an_unknown_challenge_is_answered_like_a_wrong_code(platform: Platform) -> None:
    unknown = {"challenge_id": "chl_01K0000000000000000000000A"}
    assert expect(finish(platform, unknown, "123456"), 422)["code"] == "invalid_code"
