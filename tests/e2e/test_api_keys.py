"""API keys: shown once, limited to their scopes and to a customer's rights, revocable."""

from typing import Any

import pytest

from tests.e2e.client import SECRETS, Client, Person, expect, new_key
from tests.e2e.platform import Platform


def create(person: Person, *scopes: str) -> tuple[dict[str, Any], Client]:
    """Create a key. Return it without its secret, and a client that uses it."""
    made = person.post("/auth/api-keys", {"name": "server", "scopes": list(scopes)}, status=201)
    text = made.pop("key")
    SECRETS.setdefault("api key", set()).add(text.split(".")[1])
    return made, Client(person.url, text)


@pytest.fixture(scope="module")
def owner(platform: Platform) -> Person:
    return platform.person(funds=10_000)


def test_a_key_is_shown_once_and_can_be_listed_and_revoked(platform: Platform) -> None:
    person = platform.person()
    answer = person.request("POST", "/auth/api-keys", {"name": "server", "scopes": ["read"]})
    made = expect(answer, 201)
    assert answer.header("location") == f"/v1/auth/api-keys/{made['id']}"
    text = made.pop("key")
    SECRETS.setdefault("api key", set()).add(text.split(".")[1])
    assert text.startswith(f"{made['id']}.")
    assert person.get("/auth/api-keys")["data"] == [made]
    expect(person.request("DELETE", f"/auth/api-keys/{made['id']}"), 204)
    assert expect(Client(person.url, text).request("GET", "/auth/me"), 401)["code"] == "unauthenticated"
    assert person.get("/auth/api-keys")["data"] == []
    assert expect(person.request("DELETE", f"/auth/api-keys/{made['id']}"), 404)["code"] == "not_found"


def test_a_key_can_do_only_what_its_scopes_allow(platform: Platform, owner: Person, bob: Person) -> None:
    _, reads = create(owner, "read")
    _, writes = create(owner, "write")
    _, pays = create(owner, "payments")
    body = {"destination": {"user_id": bob.user_id}, "amount": 100, "currency": "USD"}
    attempts: dict[str, tuple[str, str, Any, str | None]] = {
        "read": ("GET", "/accounts", None, None),
        "write": ("POST", "/accounts", {"currency": "EUR"}, None),
        "payments": ("POST", "/transfers", body, new_key()),
    }
    for own, client in (("read", reads), ("write", writes), ("payments", pays)):
        for scope, (method, path, sent, key) in attempts.items():
            answer = client.request(method, path, sent, key=key)
            if scope == own:
                assert answer.status in (200, 201), (own, scope, answer.content)
            else:
                assert expect(answer, 403)["code"] == "forbidden", (own, scope)


def test_a_key_can_be_validated_and_its_use_is_recorded(platform: Platform, owner: Person) -> None:
    _, server = create(owner, "read")
    assert server.get("/auth/validate") == {
        "valid": True,
        "user_id": owner.user_id,
        "role": "customer",
        "session_id": None,
        "expires_at": None,
    }
    used = [each["last_used_at"] for each in owner.pages("/auth/api-keys")]
    assert used[0] is not None


def test_an_admins_key_has_a_customers_rights(platform: Platform) -> None:
    admin = platform.admin()
    _, server = create(admin, "read", "write")
    assert expect(server.request("GET", "/users"), 403)["code"] == "forbidden"
    assert server.get("/auth/me")["role"] == "admin"


def test_a_key_cannot_change_its_users_credentials(platform: Platform, owner: Person) -> None:
    made, server = create(owner, "read", "write", "payments")
    for method, path in (
        ("GET", "/auth/sessions"),
        ("GET", "/auth/api-keys"),
        ("POST", "/auth/api-keys"),
        ("DELETE", f"/auth/api-keys/{made['id']}"),
        ("DELETE", f"/users/{owner.user_id}"),
        ("POST", "/auth/password/change"),
        ("PATCH", "/auth/me"),
    ):
        assert expect(server.request(method, path), 403)["code"] == "forbidden", path


def test_the_key_of_another_user_is_not_found(platform: Platform, owner: Person, bob: Person) -> None:
    made, server = create(owner, "read")
    assert expect(bob.request("DELETE", f"/auth/api-keys/{made['id']}"), 404)["code"] == "not_found"
    assert server.request("GET", "/accounts").status == 200


def test_a_user_has_at_most_twenty_keys(platform: Platform) -> None:
    person = platform.person()
    for _ in range(20):
        create(person, "read")
    refused = person.request("POST", "/auth/api-keys", {"name": "one more", "scopes": ["read"]})
    assert expect(refused, 409)["code"] == "limit_reached"
    assert len(list(person.pages("/auth/api-keys", limit=7))) == 20
