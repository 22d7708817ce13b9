"""Email addresses and phone numbers: each belongs to one user and is verified by a code that is sent to it."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.client import PASSWORD, Person, expect, other_code, phone_number
from tests.e2e.platform import Platform


@pytest.fixture
def person(platform: Platform) -> Person:
    return platform.person()


def new_email() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def verify_phone(platform: Platform, person: Person, phone: str) -> Any:
    known = len(platform.codes(phone))
    expect(person.request("POST", "/auth/phone", {"phone": phone}), 202)
    return person.post("/auth/phone/confirm", {"code": platform.next_code(phone, known)}, status=200)


@pytest.mark.parametrize("same", ["email", "phone"])
def test_one_of_fifty_concurrent_registrations_with_the_same_address_succeeds(platform: Platform, same: str) -> None:
    email, phone = new_email(), phone_number()

    def register(_: int) -> tuple[int, str]:
        body = {"email": email, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
        if same == "phone":
            body |= {"email": new_email(), "phone": phone}
        answer = platform.client.request("POST", "/auth/register", body)
        return answer.status, answer.json.get("code", "")

    with ThreadPoolExecutor(50) as pool:
        answers = sorted(pool.map(register, range(50)))
    assert answers == [(201, ""), *[(409, f"{same}_taken")] * 49]


def test_a_user_changes_their_email_address(platform: Platform, person: Person) -> None:
    email = new_email()
    body = {"new_email": f" {email.upper()}", "password": PASSWORD}
    refused = person.request("POST", "/auth/email/change", {**body, "password": "not the password"})
    assert expect(refused, 401)["code"] == "invalid_credentials"
    answer = person.request("POST", "/auth/email/change", body)
    expect(answer, 202)
    assert answer.header("location") == "/v1/auth/email/confirm"
    code = platform.next_code(email, 0)
    assert (
        expect(person.request("POST", "/auth/email/confirm", {"code": other_code(code)}), 422)["code"] == "invalid_code"
    )
    assert person.get("/auth/me")["email"] == person.email
    user = person.post("/auth/email/confirm", {"code": code}, status=200)
    assert (user["email"], user["email_verified"]) == (email, True)
    old = platform.client.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD})
    assert expect(old, 401)["code"] == "invalid_credentials"
    person.email = email
    person.login()


def test_a_new_email_address_cannot_be_confirmed_once_it_is_taken(platform: Platform, person: Person) -> None:
    email = new_email()
    taken = {"new_email": platform.person().email, "password": PASSWORD}
    assert expect(person.request("POST", "/auth/email/change", taken), 409)["code"] == "email_taken"
    expect(person.request("POST", "/auth/email/change", {"new_email": email, "password": PASSWORD}), 202)
    code = platform.next_code(email, 0)
    body = {"email": email, "password": PASSWORD, "first_name": "Eve", "last_name": "Euler"}
    expect(platform.client.request("POST", "/auth/register", body), 201)
    assert expect(person.request("POST", "/auth/email/confirm", {"code": code}), 409)["code"] == "email_taken"
    assert person.get("/auth/me")["email"] == person.email


def test_a_verified_phone_number_is_taken(platform: Platform, person: Person) -> None:
    phone = phone_number()
    expect(person.request("POST", "/auth/phone", {"phone": phone}), 202)
    code = platform.next_code(phone, 0)
    assert (
        expect(person.request("POST", "/auth/phone/confirm", {"code": other_code(code)}), 422)["code"] == "invalid_code"
    )
    assert person.get("/auth/me")["phone"] is None
    user = person.post("/auth/phone/confirm", {"code": code}, status=200)
    assert (user["phone"], user["phone_verified"]) == (phone, True)
    other = platform.person()
    assert expect(other.request("POST", "/auth/phone", {"phone": phone}), 409)["code"] == "phone_taken"


def test_an_unverified_phone_number_can_be_taken_over(platform: Platform, person: Person) -> None:
    phone = phone_number()
    squatter = platform.register(phone=phone)
    squatter.login()
    assert verify_phone(platform, person, phone)["phone_verified"] is True
    me = squatter.get("/auth/me")
    assert (me["phone"], me["phone_verified"]) == (None, False)
