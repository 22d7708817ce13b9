"""Idempotency keys: the same key and body give the same bytes, however often they are sent.

A service stores the answer, or what the answer follows from, in the transaction that has the effect. Stored answers
are kept for good. `common.answers` stores them in a context's table.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, NamedTuple

from common.errors import Refusal

JSON = "application/json"
PROBLEM = "application/problem+json"
_NEVER_KEPT = ("pin", "cvv")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was first given: status, body byte for byte, and the headers that belong to it."""

    status: int
    body: str
    content_type: str = JSON
    location: str | None = None


class KeyedAnswer(NamedTuple):
    """The answer to a request with an idempotency key, and whether it was given before."""

    answer: Answer
    replayed: bool


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request's key, digested with its scope (caller, method, concrete path), and the keyed digests of its body.

    `fingerprints` has a digest for each version of the key, newest first: a request stays comparable after a rotation.
    """

    scope: str
    fingerprints: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """The digest to store."""
        return self.fingerprints[0]

    def check(self, stored: str) -> None:
        """Raise Refusal `idempotency_key_reused` if the key was first used with another body."""
        if stored not in self.fingerprints:
            raise Refusal("idempotency_key_reused")


def scope_of(caller: str, method: str, path: str, key: str) -> str:
    """Return the digest under which a caller's key for one method and concrete path is stored."""
    return hashlib.sha256("\n".join((caller, method, path, key)).encode()).hexdigest()


def canonical_body(body: Mapping[str, Any]) -> str:
    """Return the text that a fingerprint digests.

    It leaves out the fields that must not be kept in any form, and optional fields that are null.
    """
    return json.dumps(_without_nulls({k: v for k, v in body.items() if k not in _NEVER_KEPT}), sort_keys=True)


def render(body: Any) -> str:
    """Return a body as it is sent: ASCII JSON, whatever text it holds. Text is returned as it is."""
    return body if isinstance(body, str) else json.dumps(body, separators=(",", ":"), default=_plain)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    # A pydantic model. Functions that only render dataclasses and plain data do not load pydantic.
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} can't be rendered as JSON")
