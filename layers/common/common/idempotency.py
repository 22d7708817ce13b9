"""Idempotency keys: the same key and body give the same bytes, however often they are sent.

A room that records an intent keeps the key in the same transaction (`key_of`), beside the fingerprint of the body and,
once there is one, the answer. Kept for good.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import Problem

JSON = "application/json"
PROBLEM = "application/problem+json"
_NEVER_KEPT = ("pin", "cvv")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was first given: status, body to the byte, and the headers that belong to it."""

    status: int
    body: str
    content_type: str = JSON
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A request's key in its scope (caller, method, concrete path), digested, and the keyed digest of its body."""

    scope: str
    fingerprint: str

    def check(self, fingerprint: str) -> None:
        """Refuses a key that was first used with another body. Raises Problem `idempotency_key_reused`."""
        if not hmac.compare_digest(fingerprint, self.fingerprint):
            raise Problem("idempotency_key_reused", "This key was first used with another body.")


def key_of(caller: str, method: str, path: str, key: str, body: Mapping[str, Any], secret: bytes) -> Idempotency:
    """The idempotency of one request. What must not be kept in any form is left out of the fingerprint."""
    scope = hashlib.sha256("\n".join((caller, method, path, key)).encode()).hexdigest()
    canonical = json.dumps({name: value for name, value in body.items() if name not in _NEVER_KEPT}, sort_keys=True)
    return Idempotency(scope, digest(secret, "request", canonical))


def digest(secret: bytes, purpose: str, value: str) -> str:
    """A keyed digest (HMAC-SHA-256) from which `value` can't be guessed; `purpose` keeps uses of one key apart."""
    return hmac.new(secret, f"{purpose}\n{value}".encode(), hashlib.sha256).hexdigest()


def render(body: Any) -> str:
    """A body as it goes on the wire: ASCII JSON, which is UTF-8 whatever the text in it holds."""
    return body if isinstance(body, str) else json.dumps(body, separators=(",", ":"), default=_plain)


def problem_answer(problem: Problem, *, instance: str, trace_id: str) -> Answer:
    """A problem as an answer that can be stored with an idempotency key."""
    return Answer(problem.kind.status, render(problem.document(instance=instance, trace_id=trace_id)), PROBLEM)


def _plain(value: Any) -> Any:
    # Response models; pydantic itself stays out of the functions that only render what they hold.
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} does not go into JSON")
