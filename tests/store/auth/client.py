"""Requests to the auth context through its handlers, behind the authorizer."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from common import clock
from common.dynamo import Table

from functions.auth import bootstrap
from functions.auth.api import (
    api_keys,
    authorizer,
    email,
    login,
    login_verify,
    logout,
    me,
    password_change,
    password_forgot,
    password_reset,
    phone,
    reauthenticate,
    refresh,
    register,
    resend_code,
    sessions,
    totp,
    user,
    user_second_factor,
    users,
    validate,
    verify_email,
    well_known,
)
from functions.auth.tasks import find_user, mint_code
from tests.support.rest import CONTEXT, Answer, event, send

HANDLERS = {
    "/auth/register": register,
    "/auth/verify-email": verify_email,
    "/auth/resend-code": resend_code,
    "/auth/login": login,
    "/auth/reauthenticate": reauthenticate,
    "/auth/refresh": refresh,
    "/auth/logout": logout,
    "/auth/me": me,
    "/auth/login/verify": login_verify,
    "/auth/password/change": password_change,
    "/auth/password/forgot": password_forgot,
    "/auth/password/reset": password_reset,
    "/auth/email/change": email,
    "/auth/email/confirm": email,
    "/auth/phone": phone,
    "/auth/phone/confirm": phone,
    "/auth/totp": totp,
    "/auth/totp/confirm": totp,
    "/auth/totp/disable": totp,
    "/auth/validate": validate,
    "/auth/sessions": sessions,
    "/auth/sessions/{session_id}": sessions,
    "/auth/api-keys": api_keys,
    "/auth/api-keys/{key_id}": api_keys,
    "/users": users,
    "/users/{user_id}": user,
    "/users/{user_id}/second-factor": user_second_factor,
    "/.well-known/jwks.json": well_known,
    "/.well-known/openid-configuration": well_known,
}
ADA = {
    "email": "Ada@Example.com ",
    "password": "analytical engine",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "phone": "+4915112345678",
}
CREDENTIALS = {"email": "ada@example.com", "password": "analytical engine"}


def post(path: str, body: Any = None, **headers: str) -> Answer:
    return send(HANDLERS[path].handler, event("POST", path, body=body, headers=headers))


def authorize(authorization: str | None, name: str = "Authorization") -> dict[str, Any]:
    """Call the authorizer as the gateway does."""
    headers = {} if authorization is None else {name: authorization}
    request = {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:abcdef/v1/GET/auth/me",
        "headers": headers,
        "requestContext": {"requestId": "req-1", "identity": {"sourceIp": "203.0.113.7", "userAgent": "t" * 300}},
    }
    return authorizer.handler(request, CONTEXT)


def get_me(access_token: str) -> Answer:
    caller = authorize(f"Bearer {access_token}")["context"]
    return send(me.handler, event("GET", "/auth/me", caller=caller))


def ask(
    token: str,
    method: str,
    resource: str,
    body: Any = None,
    query: Mapping[str, str | list[str]] | None = None,
    **path: str,
) -> Answer:
    """Send a request with a token or key, behind the authorizer."""
    caller = authorize(f"Bearer {token}")["context"]
    return send(HANDLERS[resource].handler, event(method, resource, body=body, caller=caller, query=query, path=path))


def expiry_of(token: str) -> str:
    """Return when an access token expires, as responses say it."""
    exp = jwt.decode(token, options={"verify_signature": False})["exp"]
    return clock.timestamp(datetime.fromtimestamp(exp, UTC))


def auth_time_of(token: str) -> int:
    """Return when the user of an access token proved who they are."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    assert abs(claims["auth_time"] - clock.now().timestamp()) < 60
    return int(claims["auth_time"])


def sign_in() -> dict[str, Any]:
    """Register Ada and log her in."""
    assert post("/auth/register", ADA).status == 201
    answer: dict[str, Any] = post("/auth/login", CREDENTIALS).json
    return answer


def mail(table: Table) -> str:
    """Return a new code of Ada's challenge, as mailed."""
    (challenge,) = [item["id"] for item in table.scan() if item["sk"] == "C"]
    minted = mint_code.handler({"challenge_id": challenge}, CONTEXT)
    assert (minted["outcome"], minted["address"], minted["first_name"]) == ("minted", "ada@example.com", "")
    return str(minted["code"])


def verify(email: str) -> None:
    """Verify an email with a new code."""
    user = bootstrap._store().user_by_email(email)
    attempts = bootstrap._store().attempts(user.id, "verify_email") if user else None
    assert attempts is not None
    minted = mint_code.handler({"challenge_id": attempts.challenge_id}, CONTEXT)
    assert post("/auth/verify-email", {"email": email, "code": minted["code"]}).status == 204


def sign_in_verified() -> dict[str, Any]:
    """Register Ada, verify her email and log her in."""
    assert post("/auth/register", ADA).status == 201
    verify("ada@example.com")
    answer: dict[str, Any] = post("/auth/login", CREDENTIALS).json
    return answer


def find(**wanted: str) -> dict[str, Any]:
    answer: dict[str, Any] = find_user.handler(wanted, CONTEXT)
    return answer


class Lines(logging.Handler):
    """Collects log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        return "\n".join(f"{vars(record)} {record.exc_text}" for record in self.records)


def minted_code(challenge_id: str) -> str:
    """Return the code of a challenge, as its mail is written."""
    return str(mint_code.handler({"challenge_id": challenge_id}, CONTEXT)["code"])
