"""The contract's order of checks.

401, role, second factor, recent login, verified email, 413, 415, malformed JSON, idempotency key, validation.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from pydantic import BaseModel, ValidationError

from common import clock
from common.aws import keyring
from common.errors import FieldError, Refusal
from common.http.fields import explain, pointer
from common.http.request import Principal, Reply, Request
from common.idempotency import JSON, IdempotencyKey, canonical_body, scope_of

MAX_BODY_BYTES = 256 * 1024
_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
_SINGLE_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key")
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396."""
_LONGEST_INTEGER_DIGITS = 64
_MOST_FIELD_ERRORS = 50

Endpoint = Callable[[Request[Any, Any]], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path: who may call it, what it takes, and the endpoint. See `Api.route`."""

    endpoint: Endpoint
    body: type[BaseModel]
    query: type[BaseModel]
    method: str
    path: str
    public: bool
    person: bool
    roles: frozenset[str]
    recent_login: bool
    moves_money: bool
    idempotent: bool

    @property
    def needs_verified_email(self) -> bool:
        """Whether an unverified user is refused: they may read, verify their address and use most auth routes."""
        if self.public:
            return False
        return self.recent_login or not (self.method == "GET" or self.path.startswith("/auth/"))


def check(route: Route, event: APIGatewayProxyEvent) -> Request[Any, Any]:
    """Return the request if it passes every check. Raises Refusal of the first check that fails."""
    principal = _principal(event)
    if principal is None and not route.public:
        raise Refusal("unauthenticated")
    _check_role(principal, route)
    if route.recent_login and not (principal and principal.has_logged_in_recently(clock.now())):
        raise Refusal("reauthentication_required")
    if route.needs_verified_email and not (principal and principal.email_verified):
        raise Refusal("email_not_verified")
    raw = _raw_body(event)
    _check_single_headers(event)
    headers = {name.lower(): value for name, value in event.headers.items()}
    fields = _json_body(route, event, headers, raw)
    key = _idempotency_key(route, headers)
    body, query = _validated(route, event, fields)
    request_context = event.request_context
    # `/transfers` and `/transfers/` are one path: a key must not be usable once for each.
    path = (request_context.path or event.path).rstrip("/")
    return Request(
        body=body,
        query=query,
        path=path,
        idempotency_key=_keyed(principal, event.http_method, path, key, body),
        request_id=str(request_context.request_id or ""),
        ip=request_context.identity.source_ip or "",
        user_agent=headers.get("user-agent", "")[:256],
        cookies=_cookies(headers),
        headers=headers,
        _principal=principal,
        # As the gateway matched them: the resolver's own pattern lets a trailing newline or slash pass.
        _path_parameters=event.path_parameters or {},
    )


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
        auth_time=int(found.get("auth_time") or 0),
        has_second_factor=str(found.get("has_second_factor")).lower() == "true",
    )


def _check_role(principal: Principal | None, route: Route) -> None:
    """Raise Refusal if the caller's role or, for an API key, its scopes do not allow the route at all."""
    if route.roles and (principal is None or principal.role not in route.roles):
        raise Refusal("forbidden")
    if principal is not None and principal.is_key and not route.public:
        scope = "payments" if route.moves_money else "read" if route.method == "GET" else "write"
        if route.person or route.recent_login or scope not in principal.scopes:
            raise Refusal("forbidden")
    if route.roles and principal is not None and not principal.has_second_factor:
        raise Refusal("second_factor_required")


def _check_single_headers(event: APIGatewayProxyEvent) -> None:
    """Raise Refusal if a header that may have one value comes twice: two readers might each take another one."""
    received: Mapping[str, list[str]] = event.get("multiValueHeaders") or {}
    counts = Counter(name.lower() for name, values in received.items() for _ in values)
    errors = [
        FieldError(f"/headers/{name}", "must be sent once") for name in _SINGLE_HEADERS if counts[name.lower()] > 1
    ]
    if errors:
        raise Refusal("validation_failed", errors=errors)


def _raw_body(event: APIGatewayProxyEvent) -> bytes:
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    except ValueError as error:
        raise Refusal("malformed_json") from error
    if len(raw) > MAX_BODY_BYTES:
        raise Refusal("body_too_large", f"The body may have at most {MAX_BODY_BYTES} bytes.")
    return raw


def _json_body(route: Route, event: APIGatewayProxyEvent, headers: Mapping[str, str], raw: bytes) -> dict[str, Any]:
    if event.http_method not in _METHODS_WITH_BODY:
        return {}
    content_type = headers.get("content-type")
    needs_body = any(info.is_required() for info in route.body.model_fields.values())
    if not raw and not needs_body:
        return {}
    accepted = (JSON, MERGE_PATCH) if event.http_method == "PATCH" else (JSON,)
    if content_type is None or content_type.split(";")[0].strip().lower() not in accepted:
        raise Refusal("unsupported_media_type", f"Send the body as {' or '.join(accepted)}.")
    try:
        fields = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        raise Refusal("malformed_json") from error
    if not isinstance(fields, dict):
        raise Refusal("validation_failed", errors=[FieldError("", "must be an object")])
    return fields


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        # RFC 7493, 2.3: of a repeated name, two readers may take different values.
        raise ValueError("repeated name")
    return fields


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _integer(text: str) -> int | float:
    # Python refuses to read very long integers. As a float it is simply not a valid amount.
    return int(text) if len(text) < _LONGEST_INTEGER_DIGITS else float("inf")


def _idempotency_key(route: Route, headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if not route.idempotent:
        return None
    if key is None:
        if route.moves_money:
            raise Refusal("idempotency_key_required")
        return None
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Refusal(
            "validation_failed",
            errors=[FieldError("/headers/Idempotency-Key", "must be 1 to 255 printable ASCII characters")],
        )
    return key


def _keyed(
    principal: Principal | None, method: str, path: str, key: str | None, body: BaseModel
) -> IdempotencyKey | None:
    if key is None or principal is None:
        return None
    fields = body.model_dump(mode="json", exclude_unset=True)
    return IdempotencyKey(
        scope_of(principal.user_id, method, path, key), keyring("request").digests(canonical_body(fields))
    )


def _validated(route: Route, event: APIGatewayProxyEvent, fields: dict[str, Any]) -> tuple[BaseModel, BaseModel]:
    errors: list[FieldError] = []
    body: BaseModel | None = None
    query: BaseModel | None = None
    try:
        body = route.body.model_validate(fields)
    except ValidationError as error:
        errors += _field_errors(error, "")
    parameters = event.get("multiValueQueryStringParameters") or {}
    errors += [
        FieldError(f"/query/{name}", "must be given once") for name, values in parameters.items() if len(values) > 1
    ]
    try:
        query = route.query.model_validate({name: values[-1] for name, values in parameters.items()})
    except ValidationError as error:
        errors += _field_errors(error, "/query")
    if errors or body is None or query is None:
        raise Refusal("validation_failed", errors=errors[:_MOST_FIELD_ERRORS])
    return body, query


def _field_errors(error: ValidationError, base: str) -> list[FieldError]:
    return [
        FieldError(base + pointer(fault["loc"])[:256], explain(fault))
        for fault in error.errors(include_url=False, include_input=False)
    ]


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in headers.get("cookie", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
