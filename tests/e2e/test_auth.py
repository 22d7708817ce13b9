"""Registration, email verification, login, token refresh and logout."""

import json

import pytest

from tests.e2e.client import PASSWORD, Client, Person, expect, other_code, phone_number, until
from tests.e2e.platform import CODE, Platform


def test_a_user_registers_verifies_and_signs_in(platform: Platform) -> None:
    person = platform.register(phone=phone_number())
    person.login()
    me = person.get("/auth/me")
    assert me["email"] == person.email
    assert (me["email_verified"], me["phone_verified"]) == (False, False)
    assert (me["role"], me["status"], me["second_factor"]) == ("customer", "active", "none")
    assert me["id"] == person.user_id
    assert "password" not in json.dumps(me)

    code = platform.code(person)
    refused = person.request("POST", "/auth/verify-email", {"email": person.email, "code": other_code(code)})
    assert expect(refused, 422)["code"] == "invalid_code"
    person.post("/auth/verify-email", {"email": person.email, "code": code}, status=204)
    again = person.request("POST", "/auth/verify-email", {"email": person.email, "code": code})
    assert again.status in (204, 422)  # a code is valid once
    person.refresh()
    assert person.get("/auth/me")["email_verified"] is True


def test_accounts_and_transfers_need_a_verified_email_address(platform: Platform, bob: Person) -> None:
    person = platform.register()
    person.login()
    refused = person.request("POST", "/accounts", {"currency": "USD"})
    assert expect(refused, 403)["code"] == "email_not_verified"
    refused = person.transfer({"user_id": bob.user_id}, 100)
    assert expect(refused, 403)["code"] == "email_not_verified"


def test_a_taken_email_address_and_a_weak_password_are_rejected(platform: Platform, ada: Person) -> None:
    body = {"email": ada.email.upper(), "password": PASSWORD, "first_name": "Eve", "last_name": "Euler"}
    taken = platform.client.request("POST", "/auth/register", body)
    assert expect(taken, 409)["code"] == "email_taken"
    for password in ("short", "password", "12345678", "eve.euler@example.com"):
        easy = body | {"email": "eve.euler@example.com", "password": password}
        assert expect(platform.client.request("POST", "/auth/register", easy), 422)["code"] == "weak_password"


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(platform: Platform, ada: Person) -> None:
    answers = [
        platform.client.request("POST", "/auth/login", {"email": email, "password": "not the password"})
        for email in (ada.email, "nobody@example.com")
    ]
    documents = [expect(answer, 401) for answer in answers]
    for document in documents:
        document.pop("trace_id")
    assert documents[0] == documents[1]
    assert documents[0]["code"] == "invalid_credentials"


def test_a_login_returns_tokens_and_a_cookie(platform: Platform, ada: Person) -> None:
    answer = platform.client.request("POST", "/auth/login", {"email": ada.email, "password": PASSWORD})
    tokens = expect(answer, 200)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    (cookie,) = answer.headers["set-cookie"]
    assert cookie.startswith("remit_refresh=")
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/v1/auth"):
        assert attribute in cookie
    assert answer.header("cache-control") == "no-store"


def test_refresh_tokens_rotate(platform: Platform) -> None:
    person = platform.register()
    first = person.login()
    second = person.refresh()
    assert second["refresh_token"] != first["refresh_token"]
    early = person.request("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert expect(early, 401)["code"] == "invalid_refresh_token"
    person.refresh()  # two tabs within ten seconds: the session stays live


def test_a_browser_refreshes_by_cookie_and_gets_no_refresh_token_in_the_body(platform: Platform, ada: Person) -> None:
    login = platform.client.request("POST", "/auth/login", {"email": ada.email, "password": PASSWORD})
    cookie = login.headers["set-cookie"][0].split(";")[0]
    refreshed = platform.client.request("POST", "/auth/refresh", headers={"Cookie": cookie})
    assert "refresh_token" not in expect(refreshed, 200)
    rotated = refreshed.headers["set-cookie"][0].split(";")[0]
    assert rotated != cookie
    foreign = platform.client.request(
        "POST", "/auth/refresh", headers={"Cookie": rotated, "Origin": "https://evil.example"}
    )
    assert expect(foreign, 403)["code"] == "forbidden"


def test_logout_ends_one_session(platform: Platform) -> None:
    person = platform.register()
    other = Client(person.url, person.login()["access_token"])
    person.login()
    answer = person.request("POST", "/auth/logout", {"refresh_token": person.refresh_token})
    expect(answer, 204)
    assert "remit_refresh=" in answer.headers["set-cookie"][0]
    refused = person.request("POST", "/auth/refresh", {"refresh_token": person.refresh_token})
    assert expect(refused, 401)["code"] == "invalid_refresh_token"
    # This access token was never used, so the gateway has not cached it. For one that was, see test_after_faults.py.
    assert expect(person.request("GET", "/auth/me"), 401)["code"] == "unauthenticated"
    assert other.request("GET", "/auth/me").status == 200


def test_logout_works_with_the_access_token_alone(platform: Platform) -> None:
    person = platform.register()
    person.login()
    expect(person.request("POST", "/auth/logout"), 204)
    refused = person.request("POST", "/auth/refresh", {"refresh_token": person.refresh_token})
    assert expect(refused, 401)["code"] == "invalid_refresh_token"


def test_a_code_can_be_sent_again_once_a_minute_and_replaces_the_previous_one(platform: Platform) -> None:
    person = platform.register()
    first = platform.code(person)
    expect(person.request("POST", "/auth/resend-code", {"email": person.email}), 202)
    until(lambda: len(platform.mails(person)) == 2, what="the second code is mailed")
    second = platform.code(person)
    if first != second:
        void = person.request("POST", "/auth/verify-email", {"email": person.email, "code": first})
        assert expect(void, 422)["code"] == "invalid_code"
    person.post("/auth/verify-email", {"email": person.email, "code": second}, status=204)
    unknown = f"{person.user_id}@example.com".lower()
    for email in (person.email, unknown):  # the answer does not show whether the address is registered
        answers = [platform.client.request("POST", "/auth/resend-code", {"email": email}) for _ in range(2)]
        assert answers[-1].status == 429
        assert answers[-1].json["code"] == "rate_limited"
        assert int(answers[-1].header("retry-after") or 0) > 0


def test_a_code_is_void_after_five_wrong_tries(platform: Platform) -> None:
    person = platform.register()
    code = platform.code(person)
    for _ in range(5):
        refused = person.request("POST", "/auth/verify-email", {"email": person.email, "code": other_code(code)})
        assert expect(refused, 422)["code"] == "invalid_code"
    spent = person.request("POST", "/auth/verify-email", {"email": person.email, "code": code})
    assert expect(spent, 422)["code"] in ("invalid_code", "code_expired")
    assert person.login()["user"]["email_verified"] is False


def test_a_welcome_mail_is_sent_once(platform: Platform, ada: Person) -> None:
    mails = platform.mails(ada)
    assert len([mail for mail in mails if CODE.search(mail["text"])]) == 1
    assert len([mail for mail in mails if "elcome" in mail["subject"]]) == 1
    assert all(mail["html"] and mail["text"] for mail in mails)


@pytest.mark.parametrize("path", ["/.well-known/jwks.json", "/.well-known/openid-configuration"])
def test_the_signing_keys_are_public(platform: Platform, path: str) -> None:
    document = platform.client.get(path)
    if path.endswith("jwks.json"):
        (key,) = document["keys"]
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
        assert "d" not in key
    else:
        assert document["issuer"] == platform.run.api_url.removesuffix("/v1")
        assert document["jwks_uri"].endswith("/v1/.well-known/jwks.json")
