"""Log lines about requests that name an email address."""

from typing import Any

from common.aws import keyring
from common.http.request import Request
from common.observability import logger


def log_email(request: Request[Any, Any], email: str) -> None:
    """Log a keyed digest of the email that a request gives, before anything is known about it.

    It links attacks on one address, also on unknown ones, without storing the address. The outcome is in the line
    `request` with the same request id.
    """
    logger().info(
        "email address given",
        extra={
            "request_id": request.request_id,
            "path": request.path,
            "email_digest": keyring("email").digest(email),
            "ip": request.ip,
            "user_agent": request.user_agent,
        },
    )
