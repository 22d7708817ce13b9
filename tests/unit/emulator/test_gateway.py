"""The fixed address of the API, and the gateway's own responses."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from emulator import gateway
from emulator.gateway import Message, Receive, Scope, Send

REQUEST = {"path": "/v1/no%22thing", "method": "GET", "request_id": "r-1"}


def test_context_variables_that_the_emulator_ignores_are_replaced() -> None:
    template = b'{"instance":"$context.path","method":"${context.httpMethod}","id":"$context.extendedRequestId"}'
    assert json.loads(gateway.substitute(template, REQUEST)) == {
        "instance": "/v1/no%22thing",
        "method": "GET",
        "id": "r-1",
    }


def request(path: str, headers: list[tuple[bytes, bytes]] | None = None) -> tuple[list[Message], list[Scope]]:
    sent: list[Message] = []
    reached: list[Scope] = []

    async def emulator(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope)

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "raw_path": path.encode(),
        "headers": headers or [],
        "client": ("127.0.0.9", 1),
    }
    asyncio.run(gateway.fixed_address(emulator)(scope, receive, send))
    return sent, reached


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    return lambda api_id: monkeypatch.setattr(gateway, "rest_api", lambda: api_id)


def test_a_path_under_the_stage_reaches_the_deployed_api(deployed: Callable[[str | None], None]) -> None:
    deployed("abc")
    _, (scope,) = request("/v1/accounts", [(b"x-forwarded-for", b"6.6.6.6"), (b"cookie", b"a=b")])
    assert scope["path"] == "/_aws/execute-api/abc/v1/accounts"
    assert scope["headers"] == [(b"cookie", b"a=b"), (b"x-forwarded-for", b"127.0.0.9")]


@pytest.mark.parametrize(
    ("api_id", "path", "status"), [("abc", "/v10/accounts", 404), ("abc", "/", 404), (None, "/v1/accounts", 503)]
)
def test_a_request_that_does_not_reach_the_api_gets_a_problem(
    deployed: Callable[[str | None], None], api_id: str | None, path: str, status: int
) -> None:
    deployed(api_id)
    (start, body), reached = request(path)
    problem: dict[str, Any] = json.loads(body["body"])
    assert not reached
    assert (b"content-type", b"application/problem+json") in start["headers"]
    assert (start["status"], problem["status"], problem["instance"]) == (status, status, path)


def test_a_header_on_two_lines_has_two_values(deployed: Callable[[str | None], None]) -> None:
    deployed("abc")
    events: list[dict[str, Any]] = []

    async def emulator(scope: Scope, receive: Receive, send: Send) -> None:
        joined = {"key": "a, b", "accept": "*/*"}
        event = {"headers": joined, "multiValueHeaders": {name: [value] for name, value in joined.items()}}
        events.append(gateway._with_lines(lambda: event))

    lines = [(b"Key", b"a"), (b"accept", b"*/*"), (b"key", b"b")]
    scope = {"type": "http", "path": "/v1/x", "raw_path": b"/v1/x", "headers": lines}

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    asyncio.run(gateway.fixed_address(emulator)(scope, receive, send))
    (event,) = events
    assert event["multiValueHeaders"] == {"key": ["a", "b"], "accept": ["*/*"]}
    assert event["headers"] == {"key": "b", "accept": "*/*"}
