"""What API Gateway answers itself: preflights, and errors in our shape."""

import pytest

from localstack.http import Answer
from tests.e2e.client import Client, Person
from tests.e2e.world import World


def problem(answer: Answer, status: int, code: str) -> None:
    """Asserts that an answer is a problem document of the contract's shape."""
    assert answer.status == status, answer.content
    assert (answer.header("content-type") or "").split(";")[0] == "application/problem+json"
    document = answer.json
    assert document["code"] == code
    assert document["status"] == status
    assert document["type"] == f"/v1/problems/{code.replace('_', '-')}"
    assert document["title"]
    assert document["detail"]
    assert document["instance"].startswith("/v1/")
    assert document["trace_id"] == answer.header("request-id")


@pytest.mark.parametrize("path", ["/transfers", "/accounts", "/auth/login", "/cards/crd_01K0000000000000000000000A"])
def test_a_browser_may_ask_first(world: World, path: str) -> None:
    asked = {
        "Origin": "https://app.remit.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    answer = world.client.request("OPTIONS", path, headers=asked)
    assert answer.status in (200, 204)
    assert answer.header("access-control-allow-origin") == "https://app.remit.example"
    assert answer.header("access-control-allow-credentials") == "true"
    methods = {each.strip() for each in (answer.header("access-control-allow-methods") or "").split(",")}
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= methods
    headers = {each.strip().lower() for each in (answer.header("access-control-allow-headers") or "").split(",")}
    assert {"authorization", "content-type", "idempotency-key"} <= headers


def test_an_answer_may_be_read_by_the_applications_own_origin_only(world: World) -> None:
    own = world.client.request("GET", "/currencies", headers={"Origin": "https://app.remit.example"})
    other = world.client.request("GET", "/currencies", headers={"Origin": "https://evil.example"})
    assert own.header("access-control-allow-origin") == "https://app.remit.example"
    assert other.header("access-control-allow-origin") in (None, "https://app.remit.example")


@pytest.mark.parametrize("path", ["/nothing", "/transfers/x/y/z", "/transfer", "/internal/post"])
def test_no_such_route(ada: Person, path: str) -> None:
    problem(ada.request("GET", path), 404, "not_found")


@pytest.mark.parametrize("path", ["/accounts", "/transfers", "/notifications", "/auth/me"])
def test_no_token(world: World, path: str) -> None:
    answer = world.client.request("GET", path)
    problem(answer, 401, "unauthenticated")
    assert answer.header("www-authenticate") == "Bearer"


def test_a_body_beyond_what_the_gateway_takes(ada: Person) -> None:
    problem(ada.request("POST", "/transfers", b" " * (11 * 1024 * 1024), key="k"), 413, "body_too_large")


def test_a_handler_that_dies_is_unavailable_for_a_moment(world: World, ada: Person) -> None:
    with world.fault({"do": "kill", "function": "AccountsCatalog", "service": "lambda", "operation": "Run"}):
        answer = world.client.request("GET", "/banks")
    problem(answer, 503, "unavailable")
    assert answer.header("retry-after") == "1"


def test_a_handler_that_is_throttled_is_unavailable_for_a_moment(world: World) -> None:
    with world.fault({"do": "throttle", "function": "AccountsCatalog", "service": "lambda", "operation": "Run"}):
        answer = world.client.request("GET", "/banks")
    assert answer.status in (429, 503)
    assert answer.json["code"] in ("rate_limited", "unavailable")


def test_an_authorizer_that_dies_lets_nobody_in(world: World, ada: Person) -> None:
    fresh = Client(ada.url, Person(ada.url, email=ada.email).login()["access_token"])
    with world.fault({"do": "kill", "function": "AuthAuthorizer", "service": "lambda", "operation": "Run"}):
        answer = fresh.request("GET", "/accounts")
    problem(answer, 503, "unavailable")
    assert fresh.request("GET", "/accounts").status == 200


def test_health_is_public_and_names_every_room(world: World) -> None:
    health = world.client.get("/health")
    assert health["status"] == "healthy"
    assert {"auth", "accounts", "transfers", "notifications", "mail"} <= set(health["checks"])
