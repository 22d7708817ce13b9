"""Logins that take two steps: a mailed code, an authenticator app, a recovery code."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyotp
import pytest
from common import clock

from localstack.http import Answer
from tests.e2e.client import PASSWORD, SECRETS, Client, Person, expect
from tests.e2e.test_auth import wrong
from tests.e2e.world import World


def begin(person: Person) -> Any:
    """The first step: the challenge, and neither tokens nor cookie."""
    answer = person.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD})
    challenged = expect(answer, 200)
    assert set(challenged) == {"challenge_id", "methods"}
    assert not answer.headers.get("set-cookie")
    return challenged


def finish(world: World, challenged: Any, code: str) -> Answer:
    body = {"challenge_id": challenged["challenge_id"], "code": code}
    return world.client.request("POST", "/auth/login/verify", body)


class App:
    """An authenticator app that shows each code once, for a time step is good once: three of them without waiting."""

    def __init__(self, enrolment: Any) -> None:
        self.recovery_codes: list[str] = enrolment["recovery_codes"]
        totp = pyotp.TOTP(enrolment["secret"])
        now = totp.timecode(clock.now())
        self._codes = iter([totp.generate_otp(step) for step in (now - 1, now, now + 1)])
        SECRETS.setdefault("totp secret", set()).add(enrolment["secret"])
        SECRETS.setdefault("recovery code", set()).update(self.recovery_codes)

    def code(self) -> str:
        return next(self._codes)


@pytest.fixture
def person(world: World) -> Person:
    """Somebody of this test's own."""
    return world.person()


def test_codes_by_mail(world: World, person: Person) -> None:
    known = len(world.codes(person.email))
    assert expect(person.request("PATCH", "/auth/me", {"second_factor": "email"}), 200)["second_factor"] == "email"
    challenged = begin(person)
    assert challenged["methods"] == ["email"]
    code = world.next_code(person.email, known)
    assert expect(finish(world, challenged, wrong(code)), 422)["code"] == "invalid_code"
    again = world.client.request("POST", "/auth/resend-code", {"challenge_id": challenged["challenge_id"]})
    expect(again, 202)
    second = world.next_code(person.email, known + 1)
    once = world.client.request("POST", "/auth/resend-code", {"challenge_id": challenged["challenge_id"]})
    assert expect(once, 429)["code"] == "rate_limited"
    answer = finish(world, challenged, second)
    granted = expect(answer, 200)
    assert set(granted) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert answer.headers["set-cookie"][0].startswith("remit_refresh=")
    assert Client(person.url, granted["access_token"]).get("/auth/me")["id"] == person.user_id
    assert expect(finish(world, challenged, second), 422)["code"] == "invalid_code"


def test_codes_by_mail_need_a_verified_address_and_giving_them_up_the_password(world: World, person: Person) -> None:
    fresh = world.register()
    fresh.login()
    refused = fresh.request("PATCH", "/auth/me", {"second_factor": "email"})
    assert expect(refused, 403)["code"] == "email_not_verified"
    expect(person.request("PATCH", "/auth/me", {"second_factor": "email"}), 200)
    missing = expect(person.request("PATCH", "/auth/me", {"second_factor": "none"}), 400)
    assert missing["errors"][0]["pointer"] == "/password"
    off = person.request("PATCH", "/auth/me", {"second_factor": "none", "password": PASSWORD})
    assert expect(off, 200)["second_factor"] == "none"
    person.login()


def test_an_authenticator_app(world: World, person: Person) -> None:
    enrolment = person.post("/auth/totp", status=201)
    assert set(enrolment) == {"secret", "otpauth_uri", "recovery_codes"}
    app = App(enrolment)
    code = app.code()
    assert expect(person.request("POST", "/auth/totp/confirm", {"code": wrong(code)}), 422)["code"] == "invalid_code"
    person.post("/auth/totp/confirm", {"code": code}, status=204)
    assert person.get("/auth/me")["second_factor"] == "totp"
    assert expect(person.request("POST", "/auth/totp"), 409)["code"] == "invalid_state"

    challenged = begin(person)
    assert challenged["methods"] == ["totp", "recovery"]
    assert expect(finish(world, challenged, code), 422)["code"] == "invalid_code"
    login = app.code()
    with ThreadPoolExecutor(5) as pool:
        both = list(pool.map(lambda _: finish(world, challenged, login).status, range(5)))
    assert sorted(both) == [200, 422, 422, 422, 422]

    recovery = app.recovery_codes[0]
    expect(finish(world, begin(person), recovery), 200)
    assert expect(finish(world, begin(person), recovery), 422)["code"] == "invalid_code"

    body = {"password": PASSWORD, "code": app.recovery_codes[1]}
    refused = person.request("POST", "/auth/totp/disable", {**body, "password": "not the password"})
    assert expect(refused, 401)["code"] == "invalid_credentials"
    person.post("/auth/totp/disable", body, status=204)
    person.login()


def test_wrong_second_factors_are_ten_a_day(world: World, person: Person) -> None:
    app = App(person.post("/auth/totp", status=201))
    person.post("/auth/totp/confirm", {"code": app.code()}, status=204)
    for _ in range(2):
        challenged = begin(person)
        for _ in range(5):
            assert expect(finish(world, challenged, "00000-00000"), 422)["code"] == "invalid_code"
        assert expect(finish(world, challenged, app.recovery_codes[0]), 422)["code"] == "invalid_code"
    assert expect(finish(world, begin(person), app.recovery_codes[0]), 422)["code"] == "invalid_code"


def test_an_unknown_challenge_looks_like_a_wrong_code(world: World) -> None:
    nobodys = {"challenge_id": "chl_01K0000000000000000000000A"}
    assert expect(finish(world, nobodys, "123456"), 422)["code"] == "invalid_code"
