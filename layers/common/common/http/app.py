"""An endpoint's shell: `api = Api()`, `@api.post("/path", body=Model)`, `handler = api.handler`.

Checks run in the contract's order: route, 405, 401, role, verified email, 413, 415, malformed JSON, idempotency key,
validation. Only then the endpoint's own code runs, and whatever it raises becomes an answer here.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.shared.cookies import Cookie
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ValidationError

from common import ids
from common.aws import fingerprint_key
from common.config import config
from common.dynamo import Contended
from common.errors import FieldError, Problem
from common.events import Actor
from common.http.fields import NoFields, Query, pointer
from common.http.lists import Cursors
from common.idempotency import JSON, PROBLEM, Answer, Idempotency, key_of, problem_answer, render
from common.observability import logger, metrics
from common.tasks import TaskFailed

MAX_BODY = 256 * 1024
_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
_AWS_BUSY = {
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
}

BodyT = TypeVar("BodyT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, as the authorizer found them; `email_verified` as it was when the token was issued.

    `session_id` is the session's, or the API key's where `is_key`; `expires_at` is when the token dies, "" for a key.
    """

    user_id: str
    role: str
    session_id: str
    scopes: frozenset[str]
    email_verified: bool
    expires_at: str

    @property
    def is_key(self) -> bool:
        """Whether a server asks, with an API key of the user's."""
        return self.session_id.startswith("key_")

    @property
    def is_admin(self) -> bool:
        """Whether this is an admin."""
        return self.role == "admin"


@dataclass(frozen=True, slots=True)
class Request(Generic[BodyT, QueryT]):
    """A request that passed every check: its validated body and query, and where it came from."""

    body: BodyT
    query: QueryT
    path: str
    idempotency: Idempotency | None
    request_id: str
    ip: str
    user_agent: str
    cookies: Mapping[str, str]
    headers: Mapping[str, str]
    _principal: Principal | None
    _path_parameters: Mapping[str, str]

    @property
    def principal(self) -> Principal:
        """The caller. Raises Problem `unauthenticated` on a public route without one."""
        if self._principal is None:
            raise Problem("unauthenticated")
        return self._principal

    @property
    def actor(self) -> Actor:
        """The caller as events and the audit log name them."""
        who = self._principal
        return Actor(who.user_id if who else None, who.session_id if who else None, self.ip, self.user_agent)

    def id(self, parameter: str) -> str:
        """An id from the path. Raises Problem `not_found` where it is malformed."""
        value = self._path_parameters.get(parameter, "")
        if not ids.is_id(value, ids.prefix_of(parameter)):
            raise Problem("not_found")
        return value

    @property
    def cursors(self) -> Cursors:
        """Cursors good for this caller, this list and these filters."""
        caller = self._principal.user_id if self._principal else ""
        return Cursors(caller, self.path, self.query.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class Reply:
    """An endpoint's answer; `body` is a response model, plain JSON data, or text that is already rendered."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[Cookie, ...] = ()
    content_type: str = JSON

    @classmethod
    def created(cls, body: Any, location: str, status: int = 201) -> "Reply":
        """A 201 (or 202) that says where the new resource is."""
        return cls(status, body, {"Location": location})

    @classmethod
    def stored(cls, answer: Answer, *, replayed: bool) -> "Reply":
        """An answer that was recorded with its idempotency key, to the byte."""
        headers = {"Location": answer.location} if answer.location else {}
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        return cls(answer.status, answer.body, headers, content_type=answer.content_type)

    @classmethod
    def page(cls, items: list[Any], next_cursor: str | None, **extra: Any) -> "Reply":
        """A page of a list."""
        return cls(200, {"data": items, "next_cursor": next_cursor, **extra})


Endpoint = Callable[[Request[Any, Any]], Reply]


@dataclass(frozen=True, slots=True)
class _Route:
    endpoint: Endpoint
    body: type[BaseModel]
    query: type[BaseModel]
    method: str
    public: bool
    person: bool
    roles: frozenset[str]
    moves_money: bool
    idempotent: bool


class Api:
    """The routes of one function. Every route says who may call it and what it takes; the rest is the same for all."""

    def __init__(self) -> None:
        self._app = APIGatewayRestResolver()
        self._routes: dict[tuple[str, str], _Route] = {}
        self._app.not_found(self._no_such_method)
        self._app.exception_handler(Exception)(self._answer_exception)

    def get(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Registers `GET path`; see `route`."""
        return self.route("GET", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Registers `POST path`; see `route`."""
        return self.route("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Registers `PUT path`; see `route`."""
        return self.route("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Registers `PATCH path`; see `route`."""
        return self.route("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Registers `DELETE path`; see `route`."""
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
        moves_money: bool = False,
        idempotent: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """Registers an endpoint for `method` and `path` (written as API Gateway does: `/accounts/{account_id}`).

        `public`: needs no token. `person`: an API key may not, for it is about who the user is or how they prove it.
        `roles`: only these may. `moves_money`: needs a verified email and an Idempotency-Key. `idempotent`: takes a
        key where the client sends one. What an API key may otherwise do follows from its scopes: `read` for GET,
        `payments` for what moves money, `write` for the rest.
        """

        def register(endpoint: Endpoint) -> Endpoint:
            takes_key = idempotent or moves_money
            allowed = roles or frozenset()
            route = _Route(endpoint, body, query, method, public, person, allowed, moves_money, takes_key)
            self._routes[method, path] = route
            rule = path.replace("{", "<").replace("}", ">")
            self._app.route(rule, method)(lambda **_: self._serve(route))
            return endpoint

        return register

    @property
    def routes(self) -> Mapping[tuple[str, str], _Route]:
        """What is registered, by method and path."""
        return self._routes

    def handler(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The Lambda handler. Nothing leaves it but an answer."""
        started = time.perf_counter()
        response = self._app.resolve(event, context)
        status = int(response["statusCode"])
        request_context = event["requestContext"]
        authorizer = request_context.get("authorizer") or {}
        logger().info(
            "request",
            extra={
                "request_id": request_context.get("requestId"),
                "method": event["httpMethod"],
                "route": event.get("resource"),
                "status": status,
                "user_id": authorizer.get("user_id"),
                "ms": round((time.perf_counter() - started) * 1000, 1),
            },
        )
        meter = metrics()
        meter.add_dimension(name="route", value=f"{event['httpMethod']} {event.get('resource')}")
        meter.add_metric(name=f"Responses{status // 100}xx", unit=MetricUnit.Count, value=1)
        meter.flush_metrics()
        return response

    def _serve(self, route: _Route) -> Response[Any]:
        return self._response(route.endpoint(_check(route, self._app.current_event)))

    def _response(self, reply: Reply) -> Response[Any]:
        headers: dict[str, str | list[str]] = {
            "Request-Id": self._request_id,
            "Cache-Control": "no-store",
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
        # The method may be right and the path's id such that no route matches it.
        if not allowed or event.http_method in allowed:
            return self._problem(Problem("not_found"))
        return self._problem(Problem("method_not_allowed"), {"Allow": ", ".join(allowed)})

    def _answer_exception(self, error: Exception) -> Response[Any]:
        if isinstance(error, Problem):
            return self._problem(error)
        logger().exception("unexpected", extra={"request_id": self._request_id})
        if _is_passing(error):
            return self._problem(Problem("unavailable", retry_after=1))
        return self._problem(Problem("internal_error"))

    def _problem(self, problem: Problem, headers: Mapping[str, str] | None = None) -> Response[Any]:
        instance = self._app.current_event.request_context.path or self._app.current_event.path
        answer = problem_answer(problem, instance=instance, trace_id=self._request_id)
        extra = dict(headers or {})
        if problem.kind.status == 401:
            extra["WWW-Authenticate"] = "Bearer"
        if problem.retry_after is not None:
            extra["Retry-After"] = str(problem.retry_after)
        return self._response(Reply(answer.status, answer.body, extra, content_type=PROBLEM))


def _cross_origin(event: APIGatewayProxyEvent) -> dict[str, str]:
    """What lets the web application's own origin, and no other, read an answer; the gateway answers the preflight."""
    origin = config().allowed_origin
    if event.headers.get("origin") != origin:
        return {"Vary": "Origin"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Request-Id, Location, Retry-After, Idempotent-Replayed, Content-Disposition",
        "Vary": "Origin",
    }


def _check(route: _Route, event: APIGatewayProxyEvent) -> Request[Any, Any]:
    """The contract's order of checks, from 401 to validation. Raises Problem."""
    principal = _principal(event)
    if principal is None and not route.public:
        raise Problem("unauthenticated")
    if not _may(principal, route):
        raise Problem("forbidden")
    if route.moves_money and not (principal and principal.email_verified):
        raise Problem("email_not_verified")
    headers = {name.lower(): value for name, value in event.headers.items()}
    raw = _raw_body(event)
    fields = _json_body(route, event, headers, raw)
    key = _idempotency_key(route, headers)
    body, query = _validated(route, event, fields)
    request_context = event.request_context
    # Both `/transfers` and `/transfers/` lead here, and a key must not be good once for each.
    path = (request_context.path or event.path).rstrip("/")
    idempotency = (
        key_of(
            principal.user_id,
            event.http_method,
            path,
            key,
            body.model_dump(mode="json", exclude_unset=True),
            fingerprint_key(),
        )
        if key is not None and principal is not None
        else None
    )
    return Request(
        body=body,
        query=query,
        path=path,
        idempotency=idempotency,
        request_id=str(request_context.request_id or ""),
        ip=request_context.identity.source_ip or "",
        user_agent=headers.get("user-agent", "")[:256],
        cookies=_cookies(headers),
        headers=headers,
        _principal=principal,
        # As the gateway matched them: the resolver's own pattern lets a last newline or slash pass.
        _path_parameters=event.path_parameters or {},
    )


def _may(principal: Principal | None, route: _Route) -> bool:
    """Whether role and, for an API key, scopes let the caller use a route at all."""
    if route.roles and (principal is None or principal.role not in route.roles):
        return False
    if principal is None or not principal.is_key or route.public:
        return True
    scope = "payments" if route.moves_money else "read" if route.method == "GET" else "write"
    return not route.person and scope in principal.scopes


def _principal(event: APIGatewayProxyEvent) -> Principal | None:
    found: Mapping[str, Any] = (event.get("requestContext") or {}).get("authorizer") or {}
    if not found.get("user_id"):
        return None
    return Principal(
        user_id=str(found["user_id"]),
        role=str(found["role"]),
        session_id=str(found["session_id"]),
        scopes=frozenset(str(found.get("scopes", "")).split()),
        email_verified=str(found.get("email_verified")).lower() == "true",
        expires_at=str(found.get("expires_at", "")),
    )


def _raw_body(event: APIGatewayProxyEvent) -> bytes:
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    except ValueError as error:
        raise Problem("malformed_json") from error
    if len(raw) > MAX_BODY:
        raise Problem("body_too_large", f"The body may have {MAX_BODY} bytes.")
    return raw


def _json_body(route: _Route, event: APIGatewayProxyEvent, headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    if event.http_method not in _METHODS_WITH_BODY:
        return {}
    content_type = headers.get("content-type")
    needs_body = any(info.is_required() for info in route.body.model_fields.values())
    if not raw and not needs_body:
        return {}
    if content_type is None or content_type.split(";")[0].strip().lower() != JSON:
        raise Problem("unsupported_media_type")
    try:
        fields = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        raise Problem("malformed_json") from error
    if not isinstance(fields, dict):
        raise Problem("validation_failed", errors=[FieldError("", "must be an object")])
    return fields


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        # RFC 7493, 2.3: two readers of a repeated name may each take another value.
        raise ValueError("repeated name")
    return fields


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _integer(text: str) -> int | float:
    # Python refuses to read very long integers; as a float it is simply not a valid amount.
    return int(text) if len(text) < 64 else float("inf")


def _idempotency_key(route: _Route, headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if not route.idempotent:
        return None
    if key is None:
        if route.moves_money:
            raise Problem("idempotency_key_required")
        return None
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Problem(
            "validation_failed",
            errors=[FieldError("/headers/Idempotency-Key", "must be 1 to 255 printable ASCII characters")],
        )
    return key


def _validated(route: _Route, event: APIGatewayProxyEvent, fields: dict[str, Any]) -> tuple[BaseModel, BaseModel]:
    errors: list[FieldError] = []
    body: BaseModel | None = None
    query: BaseModel | None = None
    try:
        body = route.body.model_validate(fields)
    except ValidationError as error:
        errors += _field_errors(error, "")
    parameters = event.get("multiValueQueryStringParameters") or {}
    errors += [FieldError(f"/query/{name}", "given twice") for name, values in parameters.items() if len(values) > 1]
    try:
        query = route.query.model_validate({name: values[-1] for name, values in parameters.items()})
    except ValidationError as error:
        errors += _field_errors(error, "/query")
    if errors or body is None or query is None:
        raise Problem("validation_failed", errors=errors[:50])
    return body, query


def _field_errors(error: ValidationError, base: str) -> list[FieldError]:
    return [
        FieldError(base + pointer(fault["loc"])[:256], fault["msg"].removeprefix("Value error, "))
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def _is_passing(error: Exception) -> bool:
    """Whether trying again in a moment may help: throttles, timeouts, contention, a task that died."""
    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in _AWS_BUSY
    return isinstance(error, BotoCoreError | Contended | TaskFailed)
