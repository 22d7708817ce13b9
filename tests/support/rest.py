"""Requests as API Gateway (REST API, proxy integration) sends them to a function."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTEXT = type("Context", (), {"function_name": "test", "aws_request_id": "00000000-0000-4000-8000-000000000000"})()


@dataclass(frozen=True)
class Answer:
    """The answer of a function as a client sees it."""

    status: int
    headers: dict[str, list[str]]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """The code of the problem document."""
        return str(self.json["code"])


def principal(
    user_id: str,
    role: str = "customer",
    *,
    email_verified: bool = True,
    second_factor: bool | None = None,
    logged_in_seconds_ago: float = 0,
) -> dict[str, str]:
    """Return the authorizer's context of a caller. Arbiters and admins have a second factor unless told otherwise."""
    has_second_factor = role != "customer" if second_factor is None else second_factor
    return {
        "user_id": user_id,
        "role": role,
        "session_id": "ses_01K0000000000000000000000A",
        "scopes": "read write payments",
        "email_verified": "true" if email_verified else "false",
        "expires_at": "2026-01-01T00:15:00.000Z",
        "auth_time": str(int(time.time() - logged_in_seconds_ago)),
        "has_second_factor": "true" if has_second_factor else "false",
    }


def event(
    method: str,
    resource: str,
    *,
    body: Any = None,
    caller: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str | list[str]] | None = None,
    path: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a request for `resource` (`/accounts/{account_id}`). A `body` that is not text is sent as JSON."""
    concrete = re.sub(r"{(\w+)}", lambda match: (path or {})[match[1]], resource)
    sent = {"Host": "localhost", "User-Agent": "tests", **(headers or {})}
    if body is not None and "content-type" not in {name.lower() for name in sent}:
        sent["Content-Type"] = "application/json"
    multi = {name: [value] if isinstance(value, str) else value for name, value in (query or {}).items()}
    return {
        "resource": resource,
        "path": concrete,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {name: values[-1] for name, values in multi.items()} or None,
        "multiValueQueryStringParameters": multi or None,
        "pathParameters": dict(path or {}) or None,
        "stageVariables": None,
        "requestContext": {
            "requestId": "req-1",
            "stage": "v1",
            "path": f"/v1{concrete}",
            "resourcePath": resource,
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "tests"},
            "authorizer": dict(caller or {}),
        },
        "body": body if isinstance(body, str) or body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def send(handler: Any, request: dict[str, Any]) -> Answer:
    """Call a handler with a request that `event` returned."""
    response = handler(request, CONTEXT)
    headers = {name.lower(): list(values) for name, values in (response.get("multiValueHeaders") or {}).items()}
    return Answer(response["statusCode"], headers, response.get("body") or "")
