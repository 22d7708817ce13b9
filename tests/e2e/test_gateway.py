"""Responses of API Gateway itself: CORS preflights and errors, which are problem documents too."""

import pytest

from tests.e2e.client import Client, Person
from tests.e2e.platform import Platform
from tools.http import Answer


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """Assert that an answer is a problem document as the contract defines it."""
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
def test_preflights_allow_the_applications_origin(platform: Platform, path: str) -> None:
    headers = {
        "Origin": "https://app.remit.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    answer = platform.client.request("OPTIONS", path, headers=headers)
    assert answer.status in (200, 204)
    assert answer.header("access-control-allow-origin") == "https://app.remit.example"
    assert answer.header("access-control-allow-credentials") == "true"
    methods = {each.strip() for each in (answer.header("access-control-allow-methods") or "").split(",")}
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= methods
    allowed = {each.strip().lower() for each in (answer.header("access-control-allow-headers") or "").split(",")}
    assert {"authorization", "content-type", "idempotency-key"} <= allowed


def test_answers_can_be_read_by_the_applications_origin_only(platform: Platform) -> None:
    own = platform.client.request("GET", "/currencies", headers={"Origin": "https://app.remit.example"})
    other = platform.client.request("GET", "/currencies", headers={"Origin": "https://evil.example"})
    assert own.header("access-control-allow-origin") == "https://app.remit.example"
    assert other.header("access-control-allow-origin") in (None, "https://app.remit.example")


@pytest.mark.parametrize("path", ["/nothing", "/transfers/x/y/z", "/transfer", "/internal/post"])
def test_an_unknown_route_is_not_found(ada: Person, path: str) -> None:
    assert_problem(ada.request("GET", path), 404, "not_found")


@pytest.mark.parametrize("path", ["/accounts", "/transfers", "/notifications", "/auth/me"])
def test_a_request_without_a_token_is_unauthenticated(platform: Platform, path: str) -> None:
    answer = platform.client.request("GET", path)
    assert_problem(answer, 401, "unauthenticated")
    assert answer.header("www-authenticate") == "Bearer"


def test_a_body_beyond_the_gateways_limit_is_too_large(ada: Person) -> None:
    assert_problem(ada.request("POST", "/transfers", b" " * (11 * 1024 * 1024), key="k"), 413, "body_too_large")


def test_a_handler_that_dies_is_unavailable(platform: Platform, ada: Person) -> None:
    with platform.fault({"do": "kill", "function": "AccountsCatalog", "service": "lambda", "operation": "Run"}):
        answer = platform.client.request("GET", "/banks")
    assert_problem(answer, 503, "unavailable")
    assert answer.header("retry-after") == "1"


def test_a_handler_that_is_throttled_is_unavailable(platform: Platform) -> None:
    with platform.fault({"do": "throttle", "function": "AccountsCatalog", "service": "lambda", "operation": "Run"}):
        answer = platform.client.request("GET", "/banks")
    assert answer.status in (429, 503)
    assert answer.json["code"] in ("rate_limited", "unavailable")


def test_an_authorizer_that_dies_grants_no_access(platform: Platform, ada: Person) -> None:
    fresh = Client(ada.url, Person(ada.url, email=ada.email).login()["access_token"])
    with platform.fault({"do": "kill", "function": "AuthAuthorizer", "service": "lambda", "operation": "Run"}):
        answer = fresh.request("GET", "/accounts")
    assert_problem(answer, 503, "unavailable")
    assert fresh.request("GET", "/accounts").status == 200


def test_health_is_public_and_lists_every_context(platform: Platform) -> None:
    health = platform.client.get("/health")
    assert health["status"] == "healthy"
    assert {"auth", "accounts", "transfers", "notifications", "mail"} <= set(health["checks"])
