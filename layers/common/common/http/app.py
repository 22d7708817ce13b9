"""An endpoint's shell: `api = Api()`, `@api.post("/path", body=Model)`, `handler = api.handler`.

The route is matched, then 405, then `common.http.checks`. Only then the endpoint's own code runs. Whatever it raises
becomes an answer here.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from common.config import config
from common.errors import Fault, Refusal
from common.http.checks import Endpoint, Route, check
from common.http.fields import NoFields, Query
from common.http.problems import problem_answer
from common.http.request import Principal, Reply, Request
from common.idempotency import render
from common.observability import logger, metrics

__all__ = ["Api", "Principal", "Reply", "Request"]

_SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff"}
# RFC 6797: over plain HTTP the header has no effect, so the local stacks leave it out.
_HTTPS_HEADERS = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
_LOGGED_USER_AGENT_CHARACTERS = 256
_AWS_BUSY = {
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
}


class Api:
    """The routes of one function. A route says who may call it and what it takes; the rest is the same for all."""

    def __init__(self) -> None:
        self._app = APIGatewayRestResolver()
        self._routes: dict[tuple[str, str], Route] = {}
        self._app.not_found(self._no_such_method)
        self._app.exception_handler(Exception)(self._answer_exception)

    def get(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Register `GET path`; see `route`."""
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Register `POST path`; see `route`."""
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Register `PUT path`; see `route`."""
        return self.route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Register `PATCH path`; see `route`."""
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Register `DELETE path`; see `route`."""
        return self.route("DELETE", path, **options)

    def route(
        self,
        method: str,
        path: str,
        *,
        body: type[BaseModel] = NoFields,
        query: type[BaseModel] = Query,
        public: bool = False,
        person: bool = False,
        roles: frozenset[str] | None = None,
        recent_login: bool = False,
        moves_money: bool = False,
        idempotent: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """Register an endpoint for `method` and `path`, written as in API Gateway: `/accounts/{account_id}`.

        `public`: needs no token. `person`: not for API keys, because it concerns who the user is or how they prove it.
        `roles`: only these may call it, with a second factor. `recent_login`: needs a login of the last 5 minutes, and
        is not for API keys. `moves_money`: needs an Idempotency-Key. `idempotent`: accepts an Idempotency-Key. What
        else an API key may call follows from its scopes: `read` for GET, `payments` for what moves money, `write` for
        the rest. Which routes need a verified email follows from `Route.needs_verified_email`.
        """

        def register(endpoint: Endpoint) -> Endpoint:
            takes_key = idempotent or moves_money
            allowed = roles or frozenset()
            route = Route(
                endpoint, body, query, method, path, public, person, allowed, recent_login, moves_money, takes_key
            )
            self._routes[method, path] = route
            rule = path.replace("{", "<").replace("}", ">")
            self._app.route(rule, method)(lambda **_: self._serve(route))
            return endpoint

        return register

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """The registered routes, by method and path."""
        return self._routes

    def handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda handler. It returns an answer and raises nothing."""
        started = time.perf_counter()
        response = self._app.resolve(event, context)
        status = int(response["statusCode"])
        request_context = event["requestContext"]
        authorizer = request_context.get("authorizer") or {}
        identity = request_context.get("identity") or {}
        logger().info(
            "request",
            extra={
                "request_id": request_context.get("requestId"),
                "method": event["httpMethod"],
                "route": event.get("resource"),
                "status": status,
                "user_id": authorizer.get("user_id"),
                "ip": identity.get("sourceIp"),
                "user_agent": (identity.get("userAgent") or "")[:_LOGGED_USER_AGENT_CHARACTERS],
                "ms": round((time.perf_counter() - started) * 1000, 1),
            },
        )
        meter = metrics()
        meter.add_dimension(name="route", value=f"{event['httpMethod']} {event.get('resource')}")
        meter.add_metric(name=f"Responses{status // 100}xx", unit=MetricUnit.Count, value=1)
        meter.flush_metrics()
        return response

    def _serve(self, route: Route) -> Response[Any]:
        return self._response(route.endpoint(check(route, self._app.current_event)))

    def _response(self, reply: Reply) -> Response[Any]:
        headers: dict[str, str | list[str]] = {
            "Request-Id": self._request_id,
            "Cache-Control": "no-store",
            **_SECURITY_HEADERS,
            **({} if config().is_local else _HTTPS_HEADERS),
            **_cross_origin(self._app.current_event),
            **reply.headers,
        }
        body = None if reply.body is None else render(reply.body)
        content_type = None if body is None else reply.content_type
        return Response(reply.status, content_type, body, headers=headers, cookies=list(reply.cookies))

    @property
    def _request_id(self) -> str:
        return str(self._app.current_event.request_context.request_id or "")

    def _no_such_method(self, _: Exception) -> Response[Any]:
        event = self._app.current_event
        resource = event.resource
        allowed = sorted(method for method, path in self._routes if path == resource)
        # The method may be right, and an id in the path such that no route matches.
        if not allowed or event.http_method in allowed:
            return self._refuse(Refusal("not_found"))
        return self._refuse(Refusal("method_not_allowed"), {"Allow": ", ".join(allowed)})

    def _answer_exception(self, error: Exception) -> Response[Any]:
        if isinstance(error, Refusal):
            return self._refuse(error)
        logger().exception("request failed", extra={"request_id": self._request_id})
        if _is_passing(error):
            return self._refuse(Refusal("unavailable", retry_after=1))
        return self._refuse(Refusal("internal_error"))

    def _refuse(self, refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response[Any]:
        instance = self._app.current_event.request_context.path or self._app.current_event.path
        answer = problem_answer(refusal, instance=instance, trace_id=self._request_id)
        extra = dict(headers or {})
        if answer.status == 401:
            extra["WWW-Authenticate"] = "Bearer"
        if refusal.retry_after is not None:
            extra["Retry-After"] = str(refusal.retry_after)
        return self._response(Reply(answer.status, answer.body, extra, content_type=answer.content_type))


def _cross_origin(event: APIGatewayProxyEvent) -> dict[str, str]:
    """Return the headers that let the web application read the answer. The gateway answers the preflight."""
    origin = config().allowed_origin
    if event.headers.get("origin") != origin:
        return {"Vary": "Origin"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Request-Id, Location, Retry-After, Idempotent-Replayed, Content-Disposition",
        "Vary": "Origin",
    }


def _is_passing(error: Exception) -> bool:
    """Return whether a retry in a moment may help: after a throttle, a timeout, contention or a failed task."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in _AWS_BUSY
    return isinstance(error, BotoCoreError | Fault)
