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


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was first given: status, body to the byte, and the headers that belong to it."""

    status: int
    body: str
    content_type: str = "application/json"
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
    """The idempotency of one request. The PIN is left out of the fingerprint: it may change between two tries."""
    scope = hashlib.sha256("\n".join((caller, method, path, key)).encode()).hexdigest()
    canonical = json.dumps({name: value for name, value in body.items() if name != "pin"}, sort_keys=True)
    return Idempotency(scope, digest(secret, "request", canonical))


def digest(secret: bytes, purpose: str, value: str) -> str:
    """A keyed digest (HMAC-SHA-256) from which `value` can't be guessed; `purpose` keeps uses of one key apart."""
    return hmac.new(secret, f"{purpose}\n{value}".encode(), hashlib.sha256).hexdigest()
