"""Invalid requests to every route get the right problem, and change nothing."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.client import Client, Person, new_key
from tests.e2e.platform import Platform, coded, decoded
from tests.e2e.routes import (
    ADMINS,
    METHODS,
    PREFIXES,
    ROUTES,
    ULID,
    Bad,
    Route,
    bad_bodies,
    bad_queries,
    encode,
    path_of,
)
from tools.http import Answer

# Items that change by themselves: counters of failed logins, and mails that are merged for a minute.
CHANGING = ("L#", "W#", "M#2")
STATUS = {
    "validation_failed": 400,
    "malformed_json": 400,
    "invalid_cursor": 400,
    "idempotency_key_required": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "second_factor_required": 403,
    "reauthentication_required": 403,
    "email_not_verified": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "unsupported_media_type": 415,
}

pytestmark = pytest.mark.stage("first")


@pytest.fixture(scope="module")
def mallory(platform: Platform) -> Person:
    """The sender of the invalid requests: a user with an account and some money."""
    person = platform.person(funds=1000)
    platform.settle(seconds=60)
    return person


@pytest.fixture(scope="module")
def admin(platform: Platform, mallory: Person) -> Person:
    """The sender of requests to routes that only admins may call."""
    admin = platform.admin()
    platform.settle(seconds=60)
    return admin


@pytest.fixture
def sender(request: pytest.FixtureRequest, platform: Platform, mallory: Person, admin: Person) -> Client:
    """Return the sender for the route of the test, with a recent login if it needs one."""
    route = request.getfixturevalue("route")
    person = admin if route.access == ADMINS else mallory
    if not route.recent:
        return person
    return Client(person.url, platform.token(person, auth_time=int(time.time())))


@pytest.fixture
def nothing_changes(platform: Platform, mallory: Person) -> Iterator[None]:
    """Assert that the test changes no item, except items that change by themselves."""
    before = platform.digests(without=CHANGING)
    yield
    after = platform.digests(without=CHANGING)
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == set()


def find_error(answer: Answer, code: str, pointer: str | None = None) -> str | None:
    """Return what is wrong with an answer that should be the problem `code` for `pointer`, or None."""
    if answer.status != STATUS[code]:
        return f"status {answer.status}, not {code}: {answer.content[:200]!r}"
    if (answer.header("content-type") or "").split(";")[0] != "application/problem+json":
        return f"content type {answer.header('content-type')}"
    document = answer.json
    if document["code"] != code or document["status"] != answer.status:
        return f"code {document['code']}, not {code}"
    if document["type"] != f"/v1/problems/{code.replace('_', '-')}" or not document["title"] or not document["detail"]:
        return f"wrong type, title or detail: {document}"
    if not document["instance"].startswith("/v1/") or document["trace_id"] != answer.header("request-id"):
        return f"wrong instance or trace id: {document}"
    if pointer and not any(error["pointer"].startswith(pointer) for error in document["errors"]):
        return f"pointers {[error['pointer'] for error in document['errors']]}, not {pointer}"
    return None


def send(client: Client, route: Route, bad: Bad) -> Answer:
    headers = {"Content-Type": "application/json"} if bad.body is not None else {}
    headers |= {"Idempotency-Key": new_key()} if route.moves_money else {}
    headers |= {name: value for name, value in bad.headers.items() if value is not None}
    return client.request(
        route.method, path_of(route) + (f"?{bad.query}" if bad.query else ""), bad.body, headers=headers
    )


def find_errors(client: Client, route: Route, cases: Iterator[Bad]) -> list[str]:
    found = [(bad, find_error(send(client, route, bad), bad.code, bad.pointer)) for bad in cases]
    assert found
    return [f"{bad.what}: {error}" for bad, error in found if error]


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if route.has_body], ids=str)
def test_bad_bodies(sender: Client, route: Route) -> None:
    found = find_errors(sender, route, bad_bodies(route))
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_bad_queries(sender: Client, route: Route) -> None:
    found = find_errors(sender, route, bad_queries(route))
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_wrong_methods(mallory: Person, path: str) -> None:
    routes = [route for route in ROUTES if route.path == path]
    allowed = {route.method for route in routes}
    for method in set(METHODS) - allowed:
        answer = mallory.request(method, path_of(routes[0]), b"{" if method != "GET" else None)
        assert find_error(answer, "method_not_allowed") is None, (method, find_error(answer, "method_not_allowed"))
        assert {each.strip() for each in (answer.header("allow") or "").split(",")} == allowed


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=str)
def test_unknown_and_invalid_ids(sender: Client, route: Route) -> None:
    (name,) = [name for name in PREFIXES if f"{{{name}}}" in route.path]
    prefix = PREFIXES[name]
    ids = [
        *(f"{prefix}_{ULID}", "x", f"{prefix}_", f"{prefix}_{ULID.lower()}", f"{prefix}_{ULID}0", f"usr_{ULID}"),
        *("%00", "%F0%9F%98%80", "%ED%A0%80", "..", "%2e%2e", "*", "-1", "null", "x" * 4000, "%27%20OR%201=1"),
    ]
    query = f"?{route.query}" if route.query else ""
    body = route.good() if route.fields else None
    answers = {text: sender.request(route.method, path_of(route, **{name: text}) + query, body) for text in ids}
    found = [f"{text[:40]}: {error}" for text, answer in answers.items() if (error := find_error(answer, "not_found"))]
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if not route.is_public], ids=str)
def test_bad_tokens(platform: Platform, mallory: Person, route: Route) -> None:
    for what, token in bad_tokens(platform, mallory).items():
        headers = {"Authorization": token} if token is not None else {}
        # The problem does not show that the body is invalid too.
        body = b"{" if route.has_body else None
        answer = platform.client.request(route.method, path_of(route), body, headers=headers)
        assert find_error(answer, "unauthenticated") is None, (what, find_error(answer, "unauthenticated"))


_tokens: dict[str, str | None] = {}


def bad_tokens(platform: Platform, person: Person) -> dict[str, str | None]:
    """Return invalid Authorization headers. They are made once, so that the gateway's cache is tested too."""
    if not _tokens:
        assert person.token is not None
        head, claims, signature = person.token.split(".")
        header, payload = decoded(head), decoded(claims)
        now = int(time.time())
        _tokens.update(
            {
                "none": None,
                "no scheme": person.token,
                "another scheme": f"Basic {person.token}",
                "empty": "Bearer ",
                "nonsense": "Bearer x",
                "long": "Bearer " + "x" * 8000,
                "a refresh token": f"Bearer {person.refresh_token}",
                "unsigned": f"Bearer {head}.{claims}.",
                "another signature": f"Bearer {head}.{claims}.{signature[::-1]}",
                "algorithm none": f"Bearer {coded(header | {'alg': 'none'})}.{claims}.",
                "another user": f"Bearer {head}.{coded(payload | {'sub': f'usr_{ULID}'})}.{signature}",
                "an admin": f"Bearer {head}.{coded(payload | {'role': 'admin'})}.{signature}",
                "expired": f"Bearer {platform.signed(header, payload | {'iat': now - 3600, 'exp': now - 60})}",
                "not yet": f"Bearer {platform.signed(header, payload | {'nbf': now + 600, 'iat': now + 600})}",
                "of another issuer": f"Bearer {platform.signed(header, payload | {'iss': 'https://evil.example'})}",
                "of no session": f"Bearer {platform.signed(header, payload | {'sid': f'ses_{ULID}'})}",
            }
        )
    return _tokens


def test_a_token_that_is_signed_this_way_is_valid(platform: Platform, mallory: Person) -> None:
    """Otherwise the tokens above might be rejected because of how the test signs them."""
    good = platform.token(mallory)
    assert Client(mallory.url, good).request("GET", "/auth/me").status == 200


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if route.moves_money], ids=str)
def test_bad_idempotency_keys(mallory: Person, route: Route) -> None:
    body = route.good()
    missing = mallory.request(route.method, route.path, body)
    assert find_error(missing, "idempotency_key_required") is None
    for key in ("", "k" * 256, "k" * 5000, "caf\xe9", "a\tb"):
        answer = mallory.request(route.method, route.path, body, key=key)
        assert find_error(answer, "validation_failed") is None or (
            key == "" and find_error(answer, "idempotency_key_required") is None
        ), (key[:10], answer.content[:200])


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if route.has_body], ids=str)
def test_headers_on_two_lines(sender: Client, route: Route) -> None:
    for name, value in (("Idempotency-Key", new_key()), ("Content-Type", "application/json")):
        lines = [(name, value), (name.lower(), value)]
        if route.moves_money and name != "Idempotency-Key":
            lines.append(("Idempotency-Key", new_key()))
        answer = sender.send_lines(route.method, path_of(route), route.good(), *lines)
        assert find_error(answer, "validation_failed", f"/headers/{name}") is None, (name, answer.content[:200])


def test_an_unverified_email_address(platform: Platform) -> None:
    person = platform.register()
    platform.code(person)
    person.login()
    platform.settle()
    before = platform.digests(without=CHANGING)
    for route in ROUTES:
        if route.needs_verified_email and route.access != ADMINS:
            # The problem does not show that the other bodies are invalid too.
            for body in (encode(route.good()), b"{", b"x" * 300_000) if route.has_body else (None,):
                answer = person.request(route.method, path_of(route), body, key=new_key())
                assert find_error(answer, "email_not_verified") is None, route
    assert platform.digests(without=CHANGING) == before


@pytest.mark.usefixtures("nothing_changes")
def test_checks_come_in_the_order_of_the_contract(platform: Platform, mallory: Person) -> None:
    """Each request fails the check of its line and all later ones; the first failed check is reported."""
    large = b"{" + b" " * (256 * 1024)
    text, right = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}

    def code(
        client: Client, method: str, path: str, body: bytes, headers: dict[str, str], key: str | None = None
    ) -> Any:
        answer = client.request(method, path, body, headers=headers, key=key)
        (found,) = [each for each in (answer.json["code"],) if find_error(answer, each) is None]
        return found

    pays, keys, users = "/transfers", "/auth/api-keys", f"/users/usr_{ULID}"
    assert code(platform.client, "PUT", pays, large, text) == "unauthenticated"
    assert code(mallory, "PUT", pays, large, text) == "method_not_allowed"
    unverified = Client(mallory.url, platform.token(mallory, email_verified=False, auth_time=int(time.time()) - 360))
    assert code(unverified, "PATCH", users, large, text) == "forbidden"
    assert code(unverified, "POST", keys, large, text) == "reauthentication_required"
    unverified = Client(mallory.url, platform.token(mallory, email_verified=False, auth_time=int(time.time())))
    assert code(unverified, "POST", keys, large, text) == "email_not_verified"
    assert code(unverified, "POST", pays, large, text) == "email_not_verified"
    assert code(mallory, "POST", pays, large, text) == "body_too_large"
    assert code(mallory, "POST", pays, b"{", text) == "unsupported_media_type"
    assert code(mallory, "POST", pays, b"{", right) == "malformed_json"
    assert code(mallory, "POST", pays, b"{}", right) == "idempotency_key_required"
    assert code(mallory, "POST", pays, b"{}", right, "k") == "validation_failed"


def test_the_second_factor_comes_after_the_role_and_before_the_body(platform: Platform) -> None:
    admin = platform.admin(second_factor=False)
    answer = admin.request("PATCH", f"/users/usr_{ULID}", b"x" * 300_000)
    assert find_error(answer, "second_factor_required") is None, answer.content
    assert find_error(admin.request("PUT", f"/users/usr_{ULID}", b"{"), "method_not_allowed") is None
