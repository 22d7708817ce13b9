import pyotp
import pytest
from common.dynamo import Table

from functions.auth import bootstrap
from tests.store.auth.client import (
    ADA,
    CREDENTIALS,
    HANDLERS,
    ask,
    authorize,
    expiry_of,
    post,
    sign_in_verified,
    verify,
)
from tests.support.rest import event, send

pytestmark = pytest.mark.usefixtures("table")


def again() -> str:
    return str(post("/auth/login", CREDENTIALS).json["access_token"])


def deny(token: str) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(f"Bearer {token}")


def test_a_user_lists_sessions_and_ends_one() -> None:
    granted = sign_in_verified()
    token, other = granted["access_token"], again()
    answer = ask(token, "GET", "/auth/sessions").json
    newest, oldest = answer["data"]
    assert answer["next_cursor"] is None
    assert (newest["current"], oldest["current"]) == (False, True)
    assert oldest == {
        "id": granted["refresh_token"].split(".")[1],
        "device": "tests",
        "ip": "203.0.113.7",
        "created_at": oldest["created_at"],
        "last_used_at": oldest["created_at"],
        "current": True,
    }
    for _ in range(2):
        assert ask(token, "DELETE", "/auth/sessions/{session_id}", session_id=newest["id"]).status == 204
    deny(other)
    assert [each["id"] for each in ask(token, "GET", "/auth/sessions").json["data"]] == [oldest["id"]]


def test_sessions_come_in_pages() -> None:
    token = sign_in_verified()["access_token"]
    for _ in range(2):
        again()
    first = ask(token, "GET", "/auth/sessions", query={"limit": "2"}).json
    last = ask(token, "GET", "/auth/sessions", query={"limit": "2", "cursor": first["next_cursor"]}).json
    assert (len(first["data"]), len(last["data"]), last["next_cursor"]) == (2, 1, None)
    assert last["data"][0]["current"]
    assert ask(token, "GET", "/auth/sessions", query={"cursor": "x"}).code == "invalid_cursor"


def test_a_session_of_another_user_is_not_found() -> None:
    granted = sign_in_verified()
    post("/auth/register", {**ADA, "email": "grace@example.com", "phone": None})
    verify("grace@example.com")
    grace = post("/auth/login", {**CREDENTIALS, "email": "grace@example.com"}).json["access_token"]
    for session_id in (granted["refresh_token"].split(".")[1], "ses_x", "key_01K0000000000000000000000A"):
        assert ask(grace, "DELETE", "/auth/sessions/{session_id}", session_id=session_id).code == "not_found"
    authorize(f"Bearer {granted['access_token']}")


def test_validate_returns_whom_a_token_stands_for() -> None:
    granted = sign_in_verified()
    assert ask(granted["access_token"], "GET", "/auth/validate").json == {
        "valid": True,
        "user_id": granted["user"]["id"],
        "role": "customer",
        "session_id": granted["refresh_token"].split(".")[1],
        "expires_at": expiry_of(granted["access_token"]),
    }


class TestApiKeys:
    def create(self, token: str, *scopes: str) -> dict[str, str]:
        answer = ask(token, "POST", "/auth/api-keys", {"name": "server", "scopes": list(scopes or ("read",))})
        assert answer.status == 201
        assert answer.headers["location"] == [f"/v1/auth/api-keys/{answer.json['id']}"]
        created: dict[str, str] = answer.json
        return created

    def test_are_shown_once_listed_used_and_revoked(self, table: Table) -> None:
        token = sign_in_verified()["access_token"]
        created = self.create(token, "write", "read", "read")
        text = created.pop("key")
        assert created == {
            "id": text.split(".")[0],
            "name": "server",
            "scopes": ["read", "write"],
            "created_at": created["created_at"],
            "last_used_at": None,
        }
        assert ask(token, "GET", "/auth/api-keys").json == {"data": [created], "next_cursor": None}
        assert ask(text, "GET", "/auth/me").json["email"] == "ada@example.com"
        (used,) = ask(token, "GET", "/auth/api-keys").json["data"]
        assert used["last_used_at"] > created["created_at"]
        assert text.split(".")[1] not in str(list(table.scan()))
        assert ask(token, "DELETE", "/auth/api-keys/{key_id}", key_id=created["id"]).status == 204
        deny(text)
        assert ask(token, "DELETE", "/auth/api-keys/{key_id}", key_id=created["id"]).code == "not_found"
        assert ask(token, "DELETE", "/auth/api-keys/{key_id}", key_id="key_x").code == "not_found"

    def test_the_authorizer_returns_the_claims_of_a_key(self) -> None:
        granted = sign_in_verified()
        text = self.create(granted["access_token"], "read", "payments")["key"]
        assert authorize(f"Bearer {text}")["context"] == {
            "user_id": granted["user"]["id"],
            "role": "customer",
            "session_id": text.split(".")[0],
            "scopes": "read payments",
            "email_verified": "true",
            "expires_at": "",
            "auth_time": "0",
            "has_second_factor": "false",
        }
        assert ask(text, "GET", "/auth/validate").json == {
            "valid": True,
            "user_id": granted["user"]["id"],
            "role": "customer",
            "session_id": None,
            "expires_at": None,
        }

    def test_a_key_can_not_manage_its_user(self) -> None:
        granted = sign_in_verified()
        text = self.create(granted["access_token"], "read", "write", "payments")["key"]
        key_id, user_id = text.split(".")[0], granted["user"]["id"]
        session_id = granted["refresh_token"].split(".")[1]
        for method, resource, path in (
            ("GET", "/auth/sessions", {}),
            ("DELETE", "/auth/sessions/{session_id}", {"session_id": session_id}),
            ("POST", "/auth/api-keys", {}),
            ("GET", "/auth/api-keys", {}),
            ("DELETE", "/auth/api-keys/{key_id}", {"key_id": key_id}),
            ("PATCH", "/users/{user_id}", {"user_id": user_id}),
            ("DELETE", "/users/{user_id}", {"user_id": user_id}),
            ("GET", "/users", {}),
        ):
            answer = ask(text, method, resource, **path)
            assert (answer.status, answer.code) == (403, "forbidden"), (method, resource)
        assert ask(text, "GET", "/users/{user_id}", user_id=user_id).status == 200
        writer = self.create(granted["access_token"], "write")["key"]
        assert ask(writer, "GET", "/auth/validate").code == "forbidden"

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"scopes": ["read"]}, "/name"),
            ({"name": " ", "scopes": ["read"]}, "/name"),
            ({"name": "server"}, "/scopes"),
            ({"name": "server", "scopes": []}, "/scopes"),
            ({"name": "server", "scopes": "read"}, "/scopes"),
            ({"name": "server", "scopes": ["admin"]}, "/scopes/0"),
            ({"name": "server", "scopes": ["read"] * 4}, "/scopes"),
            ({"name": "server", "scopes": [{}]}, "/scopes/0"),
            ({"name": "server", "scopes": ["read"], "role": "admin"}, "/role"),
        ],
    )
    def test_a_bad_body_is_refused(self, body: object, pointer: str) -> None:
        token = sign_in_verified()["access_token"]
        answer = ask(token, "POST", "/auth/api-keys", body)
        assert (answer.status, answer.code) == (400, "validation_failed")
        assert pointer in [error["pointer"] for error in answer.json["errors"]]
        assert ask(token, "GET", "/auth/api-keys").json["data"] == []

    def test_come_in_pages(self) -> None:
        token = sign_in_verified()["access_token"]
        for _ in range(3):
            self.create(token)
        first = ask(token, "GET", "/auth/api-keys", query={"limit": "2"}).json
        last = ask(token, "GET", "/auth/api-keys", query={"limit": "2", "cursor": first["next_cursor"]}).json
        assert (len(first["data"]), len(last["data"]), last["next_cursor"]) == (2, 1, None)

    @pytest.mark.parametrize("text", ["key_", "key_x.y", "key_01K0000000000000000000000A." + "s" * 43])
    def test_a_malformed_or_unknown_key_is_unauthorized(self, text: str) -> None:
        deny(text)


def test_api_keys_survive_a_new_generation(table: Table) -> None:
    """A password change raises the generation. A reset revokes the keys."""
    granted = sign_in_verified()
    token = granted["access_token"]
    text = ask(token, "POST", "/auth/api-keys", {"name": "server", "scopes": ["read"]}).json["key"]
    user = bootstrap._store().user(granted["user"]["id"])
    assert user is not None
    item = table.get((f"U#{user.id}", "U"))
    assert item is not None
    table.put({**item, "generation": user.generation + 1})
    deny(token)
    assert ask(text, "GET", "/auth/me").status == 200


def test_an_ended_session_can_not_create_keys_or_confirm_apps_while_cached() -> None:
    token = sign_in_verified()["access_token"]
    kept = authorize(f"Bearer {token}")["context"]
    app = pyotp.TOTP(ask(token, "POST", "/auth/totp").json["secret"])
    assert post("/auth/logout", authorization=f"Bearer {token}").status == 204
    key = event("POST", "/auth/api-keys", body={"name": "server", "scopes": ["payments"]}, caller=kept)
    assert send(HANDLERS["/auth/api-keys"].handler, key).code == "unauthenticated"
    confirm = event("POST", "/auth/totp/confirm", body={"code": app.now()}, caller=kept)
    assert send(HANDLERS["/auth/totp/confirm"].handler, confirm).code == "unauthenticated"
    assert post("/auth/login", CREDENTIALS).json["user"]["second_factor"] == "none"
