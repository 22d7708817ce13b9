"""Users as admins see them, and how somebody leaves."""

import json

import pytest

from localstack.admin import grant
from tests.e2e.client import PASSWORD, Client, Person, expect, until
from tests.e2e.world import World


@pytest.fixture(scope="module")
def admin(world: World) -> Person:
    return world.admin()


def test_an_operator_makes_an_admin_of_a_verified_address_alone(world: World, admin: Person) -> None:
    assert admin.get("/auth/me")["role"] == "admin"
    assert grant(world.run, admin.email)["outcome"] == "granted"
    unverified = world.register()
    assert grant(world.run, unverified.email) == {"outcome": "not_found", "user_id": ""}
    assert grant(world.run, "nobody@example.com")["outcome"] == "not_found"


def test_an_admin_finds_users(world: World, admin: Person) -> None:
    person = world.register()
    listed = until(lambda: admin.get("/users", limit=1)["data"][0]["id"] == person.user_id, what="the index has them")
    assert listed
    (found,) = admin.get("/users", email=person.email.upper())["data"]
    assert found == admin.get(f"/users/{person.user_id}")
    assert admin.email in [each["email"] for each in admin.pages("/users", role="admin")]
    assert {each["status"] for each in admin.pages("/users", status="active", limit=100)} == {"active"}
    ids = [each["id"] for each in admin.pages("/users", limit=3)]
    assert len(ids) == len(set(ids))
    assert ids == sorted(ids, reverse=True)
    assert "password" not in json.dumps(found)


def test_a_role_counts_from_the_next_login_and_ends_sessions(world: World, admin: Person) -> None:
    person = world.register()
    unused = person.login()["access_token"]
    path = f"/users/{person.user_id}"
    assert expect(admin.request("PATCH", path, {"role": "arbiter"}), 200)["role"] == "arbiter"
    assert expect(Client(person.url, unused).request("GET", "/auth/me"), 401)["code"] == "unauthenticated"
    assert person.login()["user"]["role"] == "arbiter"


def test_admins_guard_each_other(world: World, admin: Person) -> None:
    other = world.admin()
    path = f"/users/{other.user_id}"
    assert expect(other.request("PATCH", path, {"role": "customer"}), 403)["code"] == "forbidden"
    assert expect(admin.request("PATCH", path, {"status": "suspended"}), 409)["code"] == "invalid_state"
    expect(admin.request("PATCH", path, {"role": "customer"}), 200)
    expect(admin.request("PATCH", path, {"status": "suspended"}), 200)


def test_somebody_with_money_stays(world: World) -> None:
    person = world.person(funds=100)
    refused = person.request("DELETE", f"/users/{person.user_id}")
    assert expect(refused, 409)["code"] == "account_not_empty"
    assert person.get("/auth/me")["id"] == person.user_id


def test_somebody_leaves_and_nothing_of_them_stays(world: World, admin: Person) -> None:
    person = world.register(phone="+14155550188")
    code = world.code(person)
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
    login = world.client.request("POST", "/auth/login", {"email": person.email, "password": PASSWORD})
    assert expect(login, 401)["code"] == "invalid_credentials"
    # Codes asked for and logins counted are digests; they go by themselves.
    left = [item for item in world.scan("auth") if person.email in str(item) or person.user_id in item["pk"]]
    assert [(item["pk"], item["sk"]) for item in left] == [(f"U#{person.user_id}", "U")]
    assert left[0]["status"] == "deleted"
    again = {"email": person.email, "password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
    assert world.client.request("POST", "/auth/register", again).status == 201
