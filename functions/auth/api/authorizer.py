"""The gateway's authorizer: it authenticates the caller. The endpoints check what the caller may do.

It allows the whole stage, because the gateway caches the policy for a minute and uses it for other routes, too.
"""

from typing import Any

from common.errors import Refusal
from common.observability import logger

from functions.auth.bootstrap import api_keys, sessions
from functions.auth.models.headers import bearer_token

_LOGGED_USER_AGENT_CHARACTERS = 256


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return a policy and the principal.

    Raises an Exception with the text "Unauthorized", which the gateway turns into 401. Any other becomes 503.
    """
    request_context = event.get("requestContext") or {}
    identity = request_context.get("identity") or {}
    line = {
        "request_id": request_context.get("requestId"),
        "ip": identity.get("sourceIp"),
        "user_agent": (identity.get("userAgent") or "")[:_LOGGED_USER_AGENT_CHARACTERS],
    }
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    try:
        token = bearer_token(headers) or ""
        claims = api_keys().authorize(token) if token.startswith("key_") else sessions().authorize(token)
    except Refusal:
        logger().info("unauthorized", extra=line)
        raise Exception("Unauthorized") from None
    except Exception as error:  # noqa: BLE001 (the text of a fault must not reach the client)
        logger().error("authorizer failed", extra={**line, "error": type(error).__name__})
        raise RuntimeError("authorizer failed") from None
    logger().info("authorized", extra={**line, "user_id": claims.user_id})
    api, stage, *_ = event["methodArn"].split("/")
    return {
        "principalId": claims.user_id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"{api}/{stage}/*/*"}],
        },
        "context": {
            "user_id": claims.user_id,
            "role": claims.role,
            "session_id": claims.session_id,
            "scopes": " ".join(claims.scopes),
            "email_verified": "true" if claims.email_verified else "false",
            "expires_at": claims.expires_at,
            "auth_time": str(claims.auth_time),
            "has_second_factor": "true" if claims.has_second_factor else "false",
        },
    }
