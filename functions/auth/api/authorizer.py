"""The gateway's authorizer: it finds out who is asking, and leaves to the endpoints what they may do.

It allows the whole stage: the gateway keeps the answer for a minute, and one that named a route would deny the next.
"""

from typing import Any

from common.errors import Problem
from common.observability import logger

from functions.auth.bearer import bearer
from functions.auth.bootstrap import api_keys, sessions


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers a policy and the principal.

    Raises an Exception that says "Unauthorized", which the gateway makes a 401; a fault on our side it makes a 503.
    """
    request_id = (event.get("requestContext") or {}).get("requestId")
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    try:
        token = bearer(headers) or ""
        claims = api_keys().authorize(token) if token.startswith("key_") else sessions().authorize(token)
    except Problem:
        logger().info("unauthorized", extra={"request_id": request_id})
        raise Exception("Unauthorized") from None
    except Exception as error:  # noqa: BLE001 (a fault's text must not reach the client)
        logger().error("authorizer failed", extra={"request_id": request_id, "error": type(error).__name__})
        raise RuntimeError("authorizer failed") from None
    logger().info("authorized", extra={"request_id": request_id, "user_id": claims.user_id})
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
        },
    }
