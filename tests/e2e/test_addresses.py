"""Addresses and numbers: each is one person's, proven by a code that was sent there."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.client import PASSWORD, Person, expect, phone_number
from tests.e2e.test_auth import wrong
from tests.e2e.world import World


@pytest.fixture
def person(world: World) -> Person:
    return world.person()


def new_email() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def verify_phone(world: World, person: Person, phone: str) -> Any:
    known = len(world.codes(phone))
    expect(person.request("POST", "/auth/phone", {"phone": phone}), 202)
    return person.post("/auth/phone/confirm", {"code": world.next_code(phone, known)}, status=200)


@pytest.mark.parametrize("same", ["email", "phone"])
def test_of_fifty_who_register_one_address_at_once_one_wins(world: World, same: str) -> None:
    email, phone = new_email(), phone_number()

    def register(_: int) -> tuple[int, str]:
        body = {"email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
        if same == "phone":
            body |= {"email": new_email(), "phone": phone}
        answer = world.client.request("POST", "/auth/register", body)
        return answer.status, answer.json.get("code", "")

    with ThreadPoolExecutor(50) as pool:
        answers = sorted(pool.map(register, range(50)))
    assert answers == [(201, ""), *[(409, f"{same}_taken")] * 49]


def test_another_email(world: World, person: Person) -> None:
    email = new_email()
    body = {"new_email": f" {email.upper()}", "password": PASSWORD}
    refused = person.request("POST", "/auth/email/change", {**body, "password": "not the password"})
    assert expect(refused, 401)["code"] == "invalid_credentials"
    answer = person.request("POST", "/auth/email/change", body)
    expect(answer, 202)
    assert answer.header("location") == "/v1/auth/email/confirm"
    code = world.next_code(email, 0)
    assert expect(person.request("POST", "/auth/email/confirm", {"code": wrong(code)}), 422)["code"] == "invalid_code"
    assert person.get("/auth/me")["email"] == person.email
    user = person.post("/auth/email/confirm", {"code": code}, status=200)
    assert (user["email"], user["email_verified"]) == (email, True)
    old = world.client.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD})
    assert expect(old, 401)["code"] == "invalid_credentials"
    person.email = email
    person.login()


def test_an_email_that_is_taken_before_it_is_confirmed(world: World, person: Person) -> None:
    email = new_email()
    taken = {"new_email": world.person().email, "password": PASSWORD}
    assert expect(person.request("POST", "/auth/email/change", taken), 409)["code"] == "email_taken"
    expect(person.request("POST", "/auth/email/change", {"new_email": email, "password": PASSWORD}), 202)
    code = world.next_code(email, 0)
    body = {"email": email, "password": PASSWORD, "first_name": "Eve", "last_name": "Euler"}
    expect(world.client.request("POST", "/auth/register", body), 201)
    assert expect(person.request("POST", "/auth/email/confirm", {"code": code}), 409)["code"] == "email_taken"
    assert person.get("/auth/me")["email"] == person.email


def test_a_number_is_verified_and_then_taken(world: World, person: Person) -> None:
    phone = phone_number()
    expect(person.request("POST", "/auth/phone", {"phone": phone}), 202)
    code = world.next_code(phone, 0)
    assert expect(person.request("POST", "/auth/phone/confirm", {"code": wrong(code)}), 422)["code"] == "invalid_code"
    assert person.get("/auth/me")["phone"] is None
    user = person.post("/auth/phone/confirm", {"code": code}, status=200)
    assert (user["phone"], user["phone_verified"]) == (phone, True)
    other = world.person()
    assert expect(other.request("POST", "/auth/phone", {"phone": phone}), 409)["code"] == "phone_taken"


def test_a_number_that_was_never_verified_is_taken_over(world: World, person: Person) -> None:
    phone = phone_number()
    squatter = world.register(phone=phone)
    squatter.login()
    assert verify_phone(world, person, phone)["phone_verified"] is True
    me = squatter.get("/auth/me")
    assert (me["phone"], me["phone_verified"]) == (None, False)
