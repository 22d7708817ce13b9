"""What the bodies of requests to move money share."""

from typing import Any

from common.http.fields import Body
from common.http.request import Request
from pydantic import model_validator

from functions.transfers.domain.intents import RequestOrigin


class OneOf(Body):
    """An object with exactly one field."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "OneOf":
        names = type(self).model_fields
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"must have exactly one of {', '.join(names)}")
        return self


def origin_of(request: Request[Any, Any]) -> RequestOrigin:
    """Return the origin of a request that moves money."""
    assert request.idempotency_key is not None
    return RequestOrigin(
        caller_id=request.principal.user_id,
        actor=request.actor,
        idempotency_key=request.idempotency_key,
        trace_id=request.request_id,
        instance=request.path,
    )
