"""Which requests the two ports refuse, so that no web page can use the AWS port or rebind a name to either port."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from emulator.access import refusal
from emulator.endpoint import Endpoint
from emulator.settings import Run


def request(port: int, path: str = "/", kind: str = "http", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": kind, "method": "POST", "path": path, "server": ("127.0.0.1", port), "headers": pairs}


@pytest.mark.parametrize("host", ["localhost:3001", "127.0.0.1:3001", "[::1]:3001", "LOCALHOST:3001"])
def test_a_local_client_is_served_on_both_ports(host: str) -> None:
    assert refusal(request(3001, host=host), aws=True) is None
    assert refusal(request(3001, host=host), aws=False) is None
    assert refusal(request(3001, host=host, sec_fetch_site="none"), aws=True) is None
    assert refusal(request(3001, host=host, sec_fetch_site="same-origin"), aws=True) is None


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "attacker.example:3001",
        "localhost:3000",
        "127.0.0.1",
        "127.0.0.1.nip.io:3001",
        "[::2]:3001",
        "",
    ],
)
def test_a_foreign_host_is_refused_on_both_ports(host: str) -> None:
    for aws in (True, False):
        assert "Host" in (refusal(request(3001, host=host), aws=aws) or "")


def test_a_missing_or_second_host_is_refused() -> None:
    twice = request(3001, host="localhost:3001")
    twice["headers"].append((b"host", b"attacker.example"))
    assert refusal(twice, aws=True)
    assert refusal(request(3001), aws=True)


@pytest.mark.parametrize("origin", ["https://attacker.example", "http://localhost:3001", "null"])
def test_the_aws_port_refuses_any_origin(origin: str) -> None:
    scope = request(3001, host="localhost:3001", origin=origin)
    assert "Origin" in (refusal(scope, aws=True) or "")
    assert refusal(scope, aws=False) is None  # the API has CORS


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_the_aws_port_refuses_requests_of_other_sites(site: str) -> None:
    scope = request(3001, host="localhost:3001", sec_fetch_site=site)
    assert "Sec-Fetch-Site" in (refusal(scope, aws=True) or "")
    assert refusal(scope, aws=False) is None


@pytest.mark.parametrize(
    "path", ["/", "/_remit/faults", "/_ministack/ses/messages", "/2015-03-31/functions/a/invocations"]
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_nothing_behind_the_aws_port_sees_a_refused_request(tmp_path: Path, path: str, kind: str) -> None:
    run = Run("access", root=tmp_path, chosen_ports={"api": 3000, "aws": 3001})
    endpoint = Endpoint(run)
    reached: list[Any] = []
    sent: list[dict[str, Any]] = []

    async def emulator(*arguments: Any) -> None:
        reached.append(arguments)

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    endpoint._emulator = emulator
    scope = request(3001, path, kind, host="localhost:3001", origin="https://attacker.example")
    asyncio.run(endpoint(scope, receive, send))
    assert not reached
    if kind == "http":
        assert (sent[0]["type"], sent[0]["status"]) == ("http.response.start", 403)
    else:
        assert sent == [{"type": "websocket.close", "code": 1008}]


def test_the_api_port_refuses_a_rebound_name(tmp_path: Path) -> None:
    run = Run("access", root=tmp_path, chosen_ports={"api": 3000, "aws": 3001})
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {}

    asyncio.run(Endpoint(run)(request(3000, "/v1/accounts", host="attacker.example:3000"), receive, send))
    assert sent[0]["status"] == 403
