"""Intents: requests to move money, before they are approved and recorded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from common.contracts.events import Actor
from common.idempotency import IdempotencyKey

from functions.transfers.domain.lifecycle import Kind


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Who sent a request, with which idempotency key, and how its problem documents name it."""

    caller_id: str
    actor: Actor
    idempotency_key: IdempotencyKey
    trace_id: str
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What requests of every kind have in common. `amount` is in the currency's minor unit; `pin` is never stored."""

    kind: ClassVar[Kind]
    origin: RequestOrigin
    amount: int
    currency: str
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    pin: str | None = None


class KeyBinding(NamedTuple):
    """What an idempotency key is bound to: the digest of the first body, and the transfer that it made."""

    fingerprint: str
    transfer_id: str
