"""Serves the API at a fixed address, with API Gateway's limits and the gateway responses of the template."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

from ministack.services import apigateway, apigateway_v1

from emulator.patches import wrap
from emulator.settings import STAGE

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# API Gateway accepts 10 MB, but a synchronous invocation only 6 MB: on AWS a larger body does not reach a function.
MAX_BODY_BYTES = 6 * 1024 * 1024
INTEGRATION_SECONDS = 29.0
# How many API requests are served at once; others queue here without a worker. Invocations by functions, sagas and
# queues are not limited, so a request never waits for its own invocations.
MAX_CONCURRENT_REQUESTS = 4

_header_lines: ContextVar[list[tuple[bytes, bytes]]] = ContextVar("_header_lines")


class _HandlerFailed(Exception):
    """The function of an integration failed. Clients do not see its message."""


def apply_patches() -> None:
    """Patch the emulator's gateway: limits, concurrency, and errors as the template defines them."""
    slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def execute(
        original: Callable[..., Awaitable[Any]],
        request: dict[str, Any],
        api_id: str,
        stage: str,
        method: str,
        path: str,
        headers: Any,
        body: bytes,
        *rest: Any,
    ) -> Any:
        request |= {"path": f"/{stage}{quote(path)}", "method": method}
        request["stage"] = apigateway_v1._stages_v1.get(api_id, {}).get(stage)
        if request["stage"] and len(body or b"") > MAX_BODY_BYTES:
            return apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        async with slots:
            return await original(request, api_id, stage, method, path, headers, body, *rest)

    # The variables of a gateway response, the size limit, and the number of concurrent requests.
    wrap(apigateway_v1, "_execute_in_scope", "request api_id stage_name method path headers body", execute)
    # An exception, a timeout or a malformed response of a handler becomes a gateway error without its text.
    wrap(apigateway_v1, "_lambda_proxy_response", "result", _proxy_response)
    wrap(apigateway_v1, "_invoke_lambda_proxy_v1", "integration api_id stage_name", _integrate)
    wrap(apigateway_v1, "_gateway_error_response", "error request", _render)
    # A header on several lines has several values, which the emulator joins to one.
    wrap(apigateway_v1, "_build_lambda_event_v1", "api_id stage_name stage resource request_path method", _with_lines)


def rest_api() -> str | None:
    """Return the id of the deployed REST API. It changes with the definition of the API."""
    apis = apigateway_v1._rest_apis._data
    deployed = [
        (apis[key]["createdDate"], key[2]) for key, stages in apigateway_v1._stages_v1._data.items() if STAGE in stages
    ]
    return max(deployed)[1] if deployed else None


def socket_api(stage: str) -> str | None:
    """Return the id of the deployed WebSocket API with this stage."""
    return next((key[2] for key, stages in apigateway._stages._data.items() if stage in stages), None)


def fixed_address(emulator: App) -> App:
    """Return an app that maps `/v1/...` to the REST API and `ws://.../<stage>` to the WebSocket API, by current id."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["type"] == "websocket":
            await emulator(_rewritten(scope, socket_api(path.split("/")[1]) or "none"), receive, send)
            return
        api_id = rest_api()
        if api_id is None:
            await respond(send, 503, problem(503, "Unavailable", "Nothing is deployed. Run make up.", path))
        elif path != f"/{STAGE}" and not path.startswith(f"/{STAGE}/"):
            await respond(send, 404, problem(404, "Not found", f"The API is under /{STAGE}.", path))
        else:
            _header_lines.set(scope["headers"])
            await emulator(_rewritten(scope, api_id), receive, send)

    return app


def problem(status: int, title: str, detail: str, instance: str) -> dict[str, Any]:
    """Return a problem document for a request that did not reach the API."""
    code = title.lower().replace(" ", "_")
    kind = f"/{STAGE}/problems/{code.replace('_', '-')}"
    return {"type": kind, "title": title, "status": status, "detail": detail, "instance": instance, "code": code}


async def respond(send: Send, status: int, body: Any) -> None:
    """Send a JSON response."""
    content = json.dumps(body).encode()
    kind = b"application/problem+json" if status >= 400 else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _rewritten(scope: Scope, api_id: str) -> Scope:
    prefix = f"/_aws/execute-api/{api_id}"
    # The emulator trusts a client's X-Forwarded-For; AWS reports the address of the peer.
    peer = (scope.get("client") or ("127.0.0.1",))[0]
    headers = [(name, value) for name, value in scope["headers"] if name != b"x-forwarded-for"]
    return {
        **scope,
        "path": prefix + scope["path"],
        "raw_path": prefix.encode() + scope.get("raw_path", quote(scope["path"]).encode()),
        "headers": [*headers, (b"x-forwarded-for", peer.encode())],
    }


async def _integrate(original: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
    task = asyncio.ensure_future(original(*args, **kwargs))
    done, _ = await asyncio.wait({task}, timeout=INTEGRATION_SECONDS)
    if not done:
        task.add_done_callback(lambda late: late.exception())  # or asyncio logs that it was never retrieved
        return apigateway_v1._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
    try:
        return task.result()
    except _HandlerFailed:
        return apigateway_v1._gw_error("DEFAULT_5XX", "Internal server error")


def _with_lines(original: Callable[..., dict[str, Any]], *args: Any, **kwargs: Any) -> dict[str, Any]:
    event = original(*args, **kwargs)
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in _header_lines.get([]):
        values[name.decode("latin-1").lower()].append(value.decode("latin-1"))
    repeated = {name: lines for name, lines in values.items() if len(lines) > 1}
    event["multiValueHeaders"] |= repeated
    event["headers"] |= {name: lines[-1] for name, lines in repeated.items()}
    return event


def _proxy_response(original: Callable[..., Any], result: dict[str, Any]) -> Any:
    body = result.get("body")
    if result.get("error") or result.get("throttle") or not isinstance(body, dict) or "statusCode" not in body:
        raise _HandlerFailed
    # On AWS a null body is an empty body.
    return original({**result, "body": {**body, "body": body.get("body") or ""}})


def _render(original: Callable[..., Any], error: Any, request: dict[str, Any]) -> Any:
    status, headers, body = original(error, request)
    deployment = request["stage"].get("deploymentId")
    customized = apigateway_v1._deployed_gateway_responses.get(request["api_id"], {}).get(deployment) or {}
    if error.response_type == "DEFAULT_5XX" and "statusCode" not in customized.get("DEFAULT_5XX", {}):
        status = 502  # the default of AWS if the template sets no status
    return status, headers, substitute(body, request)


def substitute(body: bytes, request: dict[str, Any]) -> bytes:
    """Replace the context variables of a gateway response that the emulator does not replace."""
    variables = {
        "path": request["path"],
        "httpMethod": request["method"],
        "extendedRequestId": request["request_id"],
    }
    for name, value in variables.items():
        for form in (f"$context.{name}", f"${{context.{name}}}"):
            body = body.replace(form.encode(), value.encode())
    return body
