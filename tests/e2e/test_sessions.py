"""Sessions: their list, their use, and how they end.

The gateway caches the authorization of a token that was used for a minute, so a test that needs a token to be rejected
at once takes one that was never used.
"""

import jwt

from tests.e2e.client import Client, Person, expect
from tests.e2e.platform import Platform


def assert_rejected(client: Client) -> None:
    assert expect(client.request("GET", "/auth/me"), 401)["code"] == "unauthenticated"


def session_of(tokens: dict[str, str]) -> str:
    return tokens["refresh_token"].split(".")[1]


def test_a_user_lists_sessions_and_ends_one(platform: Platform) -> None:
    person = platform.register()
    first = session_of(person.login())
    other = person.login()
    unused = Client(person.url, other["access_token"])
    answer = platform.client.request(
        *("POST", "/auth/login", {"email": person.email, "password": "correct horse battery staple"}),
        headers={"User-Agent": "phone"},
    )
    here = Client(person.url, expect(answer, 200)["access_token"])
    sessions = list(here.pages("/auth/sessions", limit=2))
    assert [each["id"] for each in sessions] == [session_of(answer.json), session_of(other), first]
    assert [each["current"] for each in sessions] == [True, False, False]
    assert sessions[0]["device"] == "phone"
    assert set(sessions[0]) == {"id", "device", "ip", "created_at", "last_used_at", "current"}
    expect(here.request("DELETE", f"/auth/sessions/{session_of(other)}"), 204)
    assert_rejected(unused)
    assert [each["id"] for each in here.pages("/auth/sessions")] == [session_of(answer.json), first]


def test_a_refresh_counts_as_a_use_of_the_session(platform: Platform) -> None:
    person = platform.register()
    person.login()
    (before,) = person.get("/auth/sessions")["data"]
    person.refresh()
    (after,) = person.get("/auth/sessions")["data"]
    assert after["last_used_at"] > before["last_used_at"] == before["created_at"] == after["created_at"]


def test_the_session_of_another_user_is_not_found(platform: Platform, ada: Person, bob: Person) -> None:
    (session, *_) = ada.get("/auth/sessions")["data"]
    assert expect(bob.request("DELETE", f"/auth/sessions/{session['id']}"), 404)["code"] == "not_found"
    assert session["id"] in [each["id"] for each in ada.pages("/auth/sessions")]


def test_validate_returns_what_the_token_says(platform: Platform, ada: Person) -> None:
    answer = ada.get("/auth/validate")
    claims = jwt.decode(ada.token or "", options={"verify_signature": False})
    assert (answer["valid"], answer["user_id"], answer["role"]) == (True, ada.user_id, "customer")
    assert answer["session_id"] == claims["sid"]
    assert answer["expires_at"].startswith("20")
    assert_rejected(Client(ada.url, "x"))


def test_tokens_can_be_verified_with_the_published_keys(platform: Platform, ada: Person) -> None:
    keys = jwt.PyJWKSet.from_dict(platform.client.get("/.well-known/jwks.json"))
    issuer = platform.client.get("/.well-known/openid-configuration")["issuer"]
    token = ada.token or ""
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["ES256"], issuer=issuer, audience=f"{issuer}/v1")
    assert claims["sub"] == ada.user_id
    header, payload, signature = token.split(".")
    for forged in (f"{header}.{payload}.", f"{header}.{payload}.{signature[::-1]}", f"{header}.e30.{signature}"):
        assert_rejected(Client(ada.url, forged))


def test_suspension_ends_every_session_for_good(platform: Platform) -> None:
    admin, person = platform.admin(), platform.register()
    tokens = [person.login() for _ in range(2)]
    path = f"/users/{person.user_id}"
    assert expect(admin.request("PATCH", path, {"status": "suspended"}), 200)["status"] == "suspended"
    for each in tokens:
        assert_rejected(Client(person.url, each["access_token"]))
        refused = platform.client.request("POST", "/auth/refresh", {"refresh_token": each["refresh_token"]})
        assert expect(refused, 401)["code"] == "invalid_refresh_token"
    login = {"email": person.email, "password": "correct horse battery staple"}
    assert expect(platform.client.request("POST", "/auth/login", login), 403)["code"] == "account_suspended"
    expect(admin.request("PATCH", path, {"status": "active"}), 200)
    refused = platform.client.request("POST", "/auth/refresh", {"refresh_token": tokens[0]["refresh_token"]})
    assert expect(refused, 401)["code"] == "invalid_refresh_token"
    person.login()
    assert person.get("/auth/me")["status"] == "active"
