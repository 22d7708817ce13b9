"""Bad input of every shape on every route: it gets its problem, and nothing changes."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from localstack.http import Answer
from tests.e2e.client import Client, Person, dumps, new_key
from tests.e2e.routes import METHODS, PREFIXES, ROUTES, ULID, Bad, Route, bad_bodies, bad_queries, encode, path_of
from tests.e2e.world import World

# Counts of failed logins; mails that go when their minute ends.
CLOCKED = ("L#", "W#", "M#2")
STATUS = {
    "validation_failed": 400,
    "malformed_json": 400,
    "invalid_cursor": 400,
    "idempotency_key_required": 400,
    "unauthenticated": 401,
    "email_not_verified": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "unsupported_media_type": 415,
}


@pytest.fixture(scope="module")
def mallory(world: World) -> Person:
    """Who sends all this: somebody with an account and some money to lose."""
    person = world.person(funds=1000)
    world.settle(seconds=60)
    return person


@pytest.fixture(scope="module")
def admin(world: World, mallory: Person) -> Person:
    """Who sends it where a customer would get no further than their role."""
    admin = world.admin()
    world.settle(seconds=60)
    return admin


@pytest.fixture
def sender(request: pytest.FixtureRequest, mallory: Person, admin: Person) -> Person:
    """Who is to send the bad requests of a route."""
    route = request.getfixturevalue("route")
    return admin if route.admin else mallory


@pytest.fixture
def nothing_changes(world: World, mallory: Person) -> Iterator[None]:
    """Every item of every table is what it was, but for what clocks change."""
    before = world.digests(without=CLOCKED)
    yield
    after = world.digests(without=CLOCKED)
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == set()


def fault_of(answer: Answer, code: str, pointer: str | None = None) -> str | None:
    """What is wrong with an answer that should be the problem `code` about `pointer`."""
    if answer.status != STATUS[code]:
        return f"answered {answer.status} {answer.content[:200]!r}, not {code}"
    if (answer.header("content-type") or "").split(";")[0] != "application/problem+json":
        return f"is {answer.header('content-type')}"
    document = answer.json
    if document["code"] != code or document["status"] != answer.status:
        return f"is {document['code']}, not {code}"
    if document["type"] != f"/v1/problems/{code.replace('_', '-')}" or not document["title"] or not document["detail"]:
        return f"has no proper type, title or detail: {document}"
    if not document["instance"].startswith("/v1/") or document["trace_id"] != answer.header("request-id"):
        return f"has no proper instance or trace: {document}"
    if pointer and not any(error["pointer"].startswith(pointer) for error in document["errors"]):
        return f"points to {[error['pointer'] for error in document['errors']]}, not {pointer}"
    return None


def send(client: Client, route: Route, bad: Bad) -> Answer:
    headers = {"Content-Type": "application/json"} if bad.body is not None else {}
    headers |= {"Idempotency-Key": new_key()} if route.money else {}
    headers |= {name: value for name, value in bad.headers.items() if value is not None}
    return client.request(
        route.method, path_of(route) + (f"?{bad.query}" if bad.query else ""), bad.body, headers=headers
    )


def faults(client: Client, route: Route, cases: Iterator[Bad]) -> list[str]:
    found = [(bad, fault_of(send(client, route, bad), bad.code, bad.pointer)) for bad in cases]
    assert found
    return [f"{bad.what}: {fault}" for bad, fault in found if fault]


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if route.has_body], ids=str)
def test_bad_bodies(sender: Person, route: Route) -> None:
    found = faults(sender, route, bad_bodies(route))
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_bad_queries(sender: Person, route: Route) -> None:
    found = faults(sender, route, bad_queries(route))
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_wrong_methods(mallory: Person, path: str) -> None:
    routes = [route for route in ROUTES if route.path == path]
    allowed = {route.method for route in routes}
    for method in set(METHODS) - allowed:
        answer = mallory.request(method, path_of(routes[0]), b"{" if method != "GET" else None)
        assert fault_of(answer, "method_not_allowed") is None, (method, fault_of(answer, "method_not_allowed"))
        assert {each.strip() for each in (answer.header("allow") or "").split(",")} == allowed


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.path], ids=str)
def test_ids_that_are_nobodys_or_none_at_all(sender: Person, route: Route) -> None:
    (name,) = [name for name in PREFIXES if f"{{{name}}}" in route.path]
    prefix = PREFIXES[name]
    ids = [
        *(f"{prefix}_{ULID}", "x", f"{prefix}_", f"{prefix}_{ULID.lower()}", f"{prefix}_{ULID}0", f"usr_{ULID}"),
        *("%00", "%F0%9F%98%80", "%ED%A0%80", "..", "%2e%2e", "*", "-1", "null", "x" * 4000, "%27%20OR%201=1"),
    ]
    query = f"?{route.query}" if route.query else ""
    body = route.good() if route.fields else None
    answers = {text: sender.request(route.method, path_of(route, **{name: text}) + query, body) for text in ids}
    found = [f"{text[:40]}: {fault}" for text, answer in answers.items() if (fault := fault_of(answer, "not_found"))]
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if not route.public], ids=str)
def test_bad_tokens(world: World, mallory: Person, route: Route) -> None:
    for what, token in bad_tokens(world, mallory).items():
        headers = {"Authorization": token} if token is not None else {}
        # A body that is no JSON: who is not signed in learns nothing of it.
        body = b"{" if route.has_body else None
        answer = world.client.request(route.method, path_of(route), body, headers=headers)
        assert fault_of(answer, "unauthenticated") is None, (what, fault_of(answer, "unauthenticated"))


_tokens: dict[str, str | None] = {}


def bad_tokens(world: World, person: Person) -> dict[str, str | None]:
    """Authorization headers that let nobody in, made once: the authorizer's cache is part of what is tested."""
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
                "expired": f"Bearer {signed(world, header, payload | {'iat': now - 3600, 'exp': now - 60})}",
                "not yet": f"Bearer {signed(world, header, payload | {'nbf': now + 600, 'iat': now + 600})}",
                "of another issuer": f"Bearer {signed(world, header, payload | {'iss': 'https://evil.example'})}",
                "of no session": f"Bearer {signed(world, header, payload | {'sid': f'ses_{ULID}'})}",
            }
        )
    return _tokens


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def coded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(dumps(part)).rstrip(b"=").decode()


def signed(world: World, header: dict[str, Any], payload: dict[str, Any]) -> str:
    """A token that the platform's own key has signed."""
    kms = world.run.client("kms")
    keys = [key["KeyId"] for key in kms.list_keys()["Keys"]]
    (key,) = [each for each in keys if kms.describe_key(KeyId=each)["KeyMetadata"]["KeyUsage"] == "SIGN_VERIFY"]
    text = f"{coded(header)}.{coded(payload)}"
    der = kms.sign(KeyId=key, Message=text.encode(), MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der))
    return f"{text}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def test_a_token_that_is_signed_like_that_is_good(world: World, mallory: Person) -> None:
    """Else the tokens above might be refused for how the test signs them."""
    assert mallory.token is not None
    head, claims, _ = mallory.token.split(".")
    good = signed(world, decoded(head), decoded(claims))
    assert Client(mallory.url, good).request("GET", "/auth/me").status == 200


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("route", [route for route in ROUTES if route.money], ids=str)
def test_bad_keys(mallory: Person, route: Route) -> None:
    body = route.good()
    missing = mallory.request(route.method, route.path, body)
    assert fault_of(missing, "idempotency_key_required") is None
    for key in ("", "k" * 256, "k" * 5000, "caf\xe9", "a\tb"):
        answer = mallory.request(route.method, route.path, body, key=key)
        assert fault_of(answer, "validation_failed") is None or (
            key == "" and fault_of(answer, "idempotency_key_required") is None
        ), (key[:10], answer.content[:200])


def test_an_address_that_is_not_verified(world: World, mallory: Person) -> None:
    person = world.register()
    world.code(person)
    person.login()
    world.settle()
    before = world.digests(without=CLOCKED)
    for route in ROUTES:
        if route.money:
            for body in (encode(route.good()), b"{", b"x" * 300_000):  # nobody learns what is wrong with the rest
                answer = person.request(route.method, route.path, body, key=new_key())
                assert fault_of(answer, "email_not_verified") is None, route
    assert world.digests(without=CLOCKED) == before


@pytest.mark.usefixtures("nothing_changes")
def test_checks_come_in_the_contracts_order(mallory: Person) -> None:
    """Each request has every fault from its own on; the first one in the order is answered."""
    url, large = "/transfers", b"{" + b" " * (256 * 1024)
    text, right = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
    assert fault_of(mallory.request("PUT", url, large, headers=text), "method_not_allowed") is None
    assert fault_of(mallory.request("POST", url, large, headers=text), "body_too_large") is None
    assert fault_of(mallory.request("POST", url, b"{", headers=text), "unsupported_media_type") is None
    assert fault_of(mallory.request("POST", url, b"{", headers=right), "malformed_json") is None
    assert fault_of(mallory.request("POST", url, b"{}", headers=right), "idempotency_key_required") is None
    assert fault_of(mallory.request("POST", url, b"{}", headers=right, key="k"), "validation_failed", "/amount") is None
