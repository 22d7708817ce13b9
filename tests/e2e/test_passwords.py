"""Changing a known password, and resetting a forgotten one."""

import pytest

from tests.e2e.client import PASSWORD, SECRETS, Client, Person, expect, other_code
from tests.e2e.platform import Platform

NEW = "an altogether different one"
SECRETS["password"].add(NEW)


@pytest.fixture
def person(platform: Platform) -> Person:
    return platform.person()


def login(platform: Platform, person: Person, password: str) -> int:
    return platform.client.request("POST", "/auth/login", {"email": person.email, "password": password}).status


def test_changing_the_password_ends_every_other_session(platform: Platform, person: Person) -> None:
    other = Client(person.url, person.login()["access_token"])
    refresh = person.refresh_token
    person.login()
    body = {"current_password": PASSWORD, "new_password": NEW}
    wrong = person.request("POST", "/auth/password/change", {**body, "current_password": "not the password"})
    assert expect(wrong, 401)["code"] == "invalid_credentials"
    weak = person.request("POST", "/auth/password/change", {**body, "new_password": "password1"})
    assert expect(weak, 422)["code"] == "weak_password"
    person.post("/auth/password/change", body, status=204)
    person.refresh()
    # This access token was never used, so the gateway has not cached it.
    assert expect(other.request("GET", "/auth/me"), 401)["code"] == "unauthenticated"
    ended = other.request("POST", "/auth/refresh", {"refresh_token": refresh})
    assert expect(ended, 401)["code"] == "invalid_refresh_token"
    assert (login(platform, person, PASSWORD), login(platform, person, NEW)) == (401, 200)


def test_a_stolen_access_token_cannot_be_used_to_guess_the_password(platform: Platform, person: Person) -> None:
    body = {"current_password": "not the password", "new_password": NEW}
    for _ in range(5):
        assert expect(person.request("POST", "/auth/password/change", body), 401)["code"] == "invalid_credentials"
    waiting = person.request("POST", "/auth/password/change", {**body, "current_password": PASSWORD})
    assert expect(waiting, 429)["code"] == "rate_limited"
    assert int(waiting.header("retry-after") or 0) > 0
    assert login(platform, person, PASSWORD) == 429


def test_a_forgotten_password_can_be_reset_by_mail(platform: Platform, person: Person) -> None:
    known = len(platform.codes(person.email))
    for email in (person.email, "nobody@example.com", person.email):
        answer = platform.client.request("POST", "/auth/password/forgot", {"email": email})
        expect(answer, 202)
        assert answer.header("location") == "/v1/auth/password/reset"
    code = platform.next_code(person.email, known)
    body = {"email": person.email, "code": code, "new_password": NEW}
    refused = platform.client.request("POST", "/auth/password/reset", {**body, "code": other_code(code)})
    assert expect(refused, 422)["code"] == "invalid_code"
    weak = platform.client.request("POST", "/auth/password/reset", {**body, "new_password": "12345678"})
    assert expect(weak, 422)["code"] == "weak_password"
    expect(platform.client.request("POST", "/auth/password/reset", body), 204)
    ended = person.request("POST", "/auth/refresh", {"refresh_token": person.refresh_token})
    assert expect(ended, 401)["code"] == "invalid_refresh_token"
    assert (login(platform, person, PASSWORD), login(platform, person, NEW)) == (401, 200)
    assert expect(platform.client.request("POST", "/auth/password/reset", body), 422)["code"] == "invalid_code"
    assert len(platform.codes(person.email)) == known + 1
