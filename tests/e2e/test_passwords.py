"""Another password: by who knows the one before, and by who forgot it."""

import pytest

from tests.e2e.client import PASSWORD, SECRETS, Client, Person, expect
from tests.e2e.test_auth import wrong
from tests.e2e.world import World

NEW = "an altogether different one"
SECRETS["password"].add(NEW)


@pytest.fixture
def person(world: World) -> Person:
    return world.person()


def login(world: World, person: Person, password: str) -> int:
    return world.client.request("POST", "/auth/login", {"email": person.email, "password": password}).status


def test_a_change_ends_every_other_session(world: World, person: Person) -> None:
    other = Client(person.url, person.login()["access_token"])
    refresh = person.refresh_token
    person.login()
    body = {"current_password": PASSWORD, "new_password": NEW}
    wrong_one = person.request("POST", "/auth/password/change", {**body, "current_password": "not the password"})
    assert expect(wrong_one, 401)["code"] == "invalid_credentials"
    weak = person.request("POST", "/auth/password/change", {**body, "new_password": "password1"})
    assert expect(weak, 422)["code"] == "weak_password"
    person.post("/auth/password/change", body, status=204)
    person.refresh()
    # This access token was never used, so no authorizer remembers it.
    assert expect(other.request("GET", "/auth/me"), 401)["code"] == "unauthenticated"
    ended = other.request("POST", "/auth/refresh", {"refresh_token": refresh})
    assert expect(ended, 401)["code"] == "invalid_refresh_token"
    assert (login(world, person, PASSWORD), login(world, person, NEW)) == (401, 200)


def test_a_stolen_token_does_not_serve_to_guess_the_password(world: World, person: Person) -> None:
    body = {"current_password": "not the password", "new_password": NEW}
    for _ in range(5):
        assert expect(person.request("POST", "/auth/password/change", body), 401)["code"] == "invalid_credentials"
    waiting = person.request("POST", "/auth/password/change", {**body, "current_password": PASSWORD})
    assert expect(waiting, 429)["code"] == "rate_limited"
    assert int(waiting.header("retry-after") or 0) > 0
    assert login(world, person, PASSWORD) == 429


def test_a_forgotten_password_is_reset_by_mail(world: World, person: Person) -> None:
    known = len(world.codes(person.email))
    for email in (person.email, "nobody@example.com", person.email):
        answer = world.client.request("POST", "/auth/password/forgot", {"email": email})
        expect(answer, 202)
        assert answer.header("location") == "/v1/auth/password/reset"
    code = world.next_code(person.email, known)
    body = {"email": person.email, "code": code, "new_password": NEW}
    refused = world.client.request("POST", "/auth/password/reset", {**body, "code": wrong(code)})
    assert expect(refused, 422)["code"] == "invalid_code"
    weak = world.client.request("POST", "/auth/password/reset", {**body, "new_password": "12345678"})
    assert expect(weak, 422)["code"] == "weak_password"
    expect(world.client.request("POST", "/auth/password/reset", body), 204)
    ended = person.request("POST", "/auth/refresh", {"refresh_token": person.refresh_token})
    assert expect(ended, 401)["code"] == "invalid_refresh_token"
    assert (login(world, person, PASSWORD), login(world, person, NEW)) == (401, 200)
    assert expect(world.client.request("POST", "/auth/password/reset", body), 422)["code"] == "invalid_code"
    assert len(world.codes(person.email)) == known + 1
