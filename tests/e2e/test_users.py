"""Users as admins see them, and the deletion of a user."""

import json

import pytest

from tests.e2e.client import PASSWORD, Client, Person, expect, until
from tests.e2e.platform import Platform
from tools.admin import grant


@pytest.fixture(scope="module")
def admin(platform: Platform) -> Person:
    return platform.admin()


def test_an_operator_can_make_only_a_verified_user_an_admin(platform: Platform, admin: Person) -> None:
    assert admin.get("/auth/me")["role"] == "admin"
    assert grant(platform.run, admin.email)["outcome"] == "granted"
    unverified = platform.register()
    assert grant(platform.run, unverified.email) == {"outcome": "not_found", "user_id": ""}
    assert grant(platform.run, "nobody@example.com")["outcome"] == "not_found"


def test_an_admin_can_find_users(platform: Platform, admin: Person) -> None:
    person = platform.register()
    listed = until(lambda: admin.get("/users", limit=1)["data"][0]["id"] == person.user_id, what="the user is listed")
    assert listed
    (found,) = admin.get("/users", email=person.email.upper())["data"]
    assert found == admin.get(f"/users/{person.user_id}")
    assert admin.email in [each["email"] for each in admin.pages("/users", role="admin")]
    assert {each["status"] for each in admin.pages("/users", status="active", limit=100)} == {"active"}
    ids = [each["id"] for each in admin.pages("/users", limit=3)]
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids, reverse=True)
    assert "password" not in json.dumps(found)


def test_a_change_of_role_ends_sessions_and_counts_from_the_next_login(platform: Platform, admin: Person) -> None:
    person = platform.register()
    unused = person.login()["access_token"]
    path = f"/users/{person.user_id}"
    assert expect(admin.request("PATCH", path, {"role": "arbiter"}), 200)["role"] == "arbiter"
    assert expect(Client(person.url, unused).request("GET", "/auth/me"), 401)["code"] == "unauthenticated"
    assert person.login()["user"]["role"] == "arbiter"


def test_an_admin_cannot_change_their_own_role_or_suspend_another_admin(platform: Platform, admin: Person) -> None:
    other = platform.admin()
    path = f"/users/{other.user_id}"
    assert expect(other.request("PATCH", path, {"role": "customer"}), 403)["code"] == "forbidden"
    assert expect(admin.request("PATCH", path, {"status": "suspended"}), 409)["code"] == "invalid_state"
    expect(admin.request("PATCH", path, {"role": "customer"}), 200)
    expect(admin.request("PATCH", path, {"status": "suspended"}), 200)


def test_a_user_with_money_cannot_be_deleted(platform: Platform) -> None:
    person = platform.person(funds=100)
    refused = person.request("DELETE", f"/users/{person.user_id}")
    assert expect(refused, 409)["code"] == "account_not_empty"
    assert person.get("/auth/me")["id"] == person.user_id


def test_no_data_of_a_deleted_user_is_kept(platform: Platform, admin: Person) -> None:
    person = platform.register(phone="+14155550188")
    code = platform.code(person)
    person.post("/auth/verify-email", {"email": person.email, "code": code}, status=204)
    unused = person.login()
    person.login()
    key = person.post("/auth/api-keys", {"name": "server", "scopes": ["read"]}, status=201)["key"]
    person.open_account()
    path = f"/users/{person.user_id}"
    expect(person.request("DELETE", path), 204)
    for token in (unused["access_token"], key):
        assert expect(Client(person.url, token).request("GET", "/auth/me"), 401)["code"] == "unauthenticated"
    assert expect(admin.request("GET", path), 404)["code"] == "not_found"
    assert admin.get("/users", email=person.email)["data"] == []
    expect(admin.request("DELETE", path), 204)
    login = platform.client.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD})
    assert expect(login, 401)["code"] == "invalid_credentials"
    # Counters of codes and logins have digests as keys, and expire.
    left = [item for item in platform.scan("auth") if person.email in str(item) or person.user_id in item["pk"]]
    assert [(item["pk"], item["sk"]) for item in left] == [(f"U#{person.user_id}", "U")]
    assert left[0]["status"] == "deleted"
    again = {"email": person.email, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
    assert platform.client.request("POST", "/auth/register", again).status == 201
