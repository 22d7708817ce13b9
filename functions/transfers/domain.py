"""Transfers as data: what a record holds, how it ends, who sees what of it, and the answers and events it gives."""

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from common import clock, ids
from common.errors import Problem
from common.events import Actor, Event, Type
from common.idempotency import Answer, Idempotency, problem_answer, render
from common.tasks import Complete, Party

Kind = Literal["transfer", "deposit"]
Status = Literal["pending", "completed", "declined", "failed"]

SHARDS = tuple(f"{number:02}" for number in range(32))
FORGOTTEN = "Deleted user"
"""What a party is called once they are gone."""
_DUE_AFTER = {"transfer": timedelta(seconds=30), "deposit": timedelta(seconds=120)}
_LONGEST_BACKOFF = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENDED: Mapping[str, Status] = {"posted": "completed", "declined": "declined", "failed": "failed"}
_TOLD: Mapping[Status, Type] = {
    "pending": "transfer.created",
    "completed": "transfer.completed",
    "declined": "transfer.declined",
    "failed": "transfer.failed",
}


class Unfinished(Exception):
    """More was to be done than one call does; the next goes on from there."""


class SagaUnavailable(Exception):
    """A saga could not be started, or did not end with an outcome; recovery will start it again."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an intent comes from: the caller, their idempotency key, and the request as its problems will name it."""

    caller_id: str
    actor: Actor
    idempotency: Idempotency
    trace_id: str
    instance: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer's record. `sequence` counts its changes; `last4` are the digits a deposit's rail is told."""

    id: str
    kind: Kind
    amount: int
    currency: str
    source: Party
    destination: Party
    initiated_by: str
    description: str
    created_at: str
    trace_id: str
    instance: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: Status = "pending"
    sequence: int = 1
    decline_code: str = ""
    posted_at: str = ""
    completed_at: str = ""
    last4: str = ""

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Transfer":
        """The record that `item` made; other names in it are left aside."""
        known = {name: item[name] for name in _FIELDS if name in item}
        return cls(**{**known, "source": Party(**item["source"]), "destination": Party(**item["destination"])})

    def item(self) -> dict[str, Any]:
        """The record as tables and sagas keep it, without what is empty; the sagas read a description always."""
        kept = {name: getattr(self, name) for name in _FIELDS}
        kept |= {"source": _party_item(self.source), "destination": _party_item(self.destination)}
        return {name: value for name, value in kept.items() if name == "description" or value not in ("", {})}

    @property
    def payer_id(self) -> str | None:
        """The user whose account pays; None where the money comes from outside."""
        return self.source.owner_id if self.source.type == "account" else None

    @property
    def payee_id(self) -> str | None:
        """The user whose account is paid; None where the money goes outside."""
        return self.destination.owner_id if self.destination.type == "account" else None

    @property
    def weight(self) -> int:
        """What a page has to carry of it: one, and one more for each KiB of its metadata as it is rendered."""
        return 1 + len(render(dict(self.metadata))) // 1024

    def is_party(self, user_id: str) -> bool:
        """Whether this is a transfer of theirs."""
        return user_id in (self.source.owner_id, self.destination.owner_id, self.initiated_by)

    def without(self, user_id: str) -> "Transfer":
        """The record once a user is gone: their side has no name and no alias any more."""
        return replace(self, source=_without(self.source, user_id), destination=_without(self.destination, user_id))

    def closed(self, request: Complete, now: datetime) -> "Transfer":
        """The record after its posting came to an end."""
        return replace(
            self,
            status=_ENDED[request.outcome],
            sequence=self.sequence + 1,
            decline_code=request.code if request.outcome == "declined" else "",
            posted_at=request.at if request.outcome == "posted" else "",
            completed_at=clock.timestamp(now) if request.outcome == "posted" else "",
        )

    def event(self, at: datetime, actor: Actor) -> Event:
        """What the last change of the record tells the other rooms."""
        data = {
            "transfer_id": self.id,
            "kind": self.kind,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "description": self.description,
            "payer_id": self.payer_id,
            "payee_id": self.payee_id,
            "source_name": self.source.display_name,
            "destination_name": self.destination.display_name,
            "code": self.decline_code,
        }
        return Event.new(_TOLD[self.status], self.id, self.sequence, at, data, actor)

    def seen_by(self, user_id: str, *, is_admin: bool = False) -> dict[str, Any]:
        """The contract's Transfer as one viewer may see it: why a payer was declined is not their payee's business."""
        initiated = user_id == self.initiated_by

        def party(side: Party) -> dict[str, Any]:
            shown = is_admin or side.owner_id == user_id or (side.addressed and initiated)
            return {
                "type": side.type,
                "id": side.id if shown else None,
                "alias": side.alias,
                "display_name": side.display_name,
            }

        return {
            "id": self.id,
            "kind": self.kind,
            "status": self.status,
            "amount": self.amount,
            "captured_amount": 0,
            "refunded_amount": 0,
            "currency": self.currency,
            "source": party(self.source),
            "destination": party(self.destination),
            "initiated_by": self.initiated_by,
            "description": self.description,
            "metadata": dict(self.metadata),
            "decline_code": (self.decline_code or None) if initiated or is_admin else None,
            "suspicious": False,
            "reference": None,
            "created_at": self.created_at,
            "completed_at": self.completed_at or None,
        }

    def answer(self) -> Answer:
        """What the initiator's request is answered with while the record stands as it does.

        A decline is a problem that carries the transfer's id; what failed is a 202 whose body says so.
        """
        if self.status == "declined":
            problem = Problem(self.decline_code, transfer_id=self.id)
            return problem_answer(problem, instance=self.instance, trace_id=self.trace_id)
        status = 201 if self.status == "completed" else 202
        return Answer(status, render(self.seen_by(self.initiated_by)), location=f"/v1/transfers/{self.id}")

    def saga_input(self) -> dict[str, Any]:
        """What the saga of this kind is started with: the record, so that no step has to read it."""
        if self.kind == "transfer":
            return {"transfer": self.item()}
        return {"transfer": self.item(), "last4": self.last4, "rail_account": f"rail:sandbox:{self.currency}"}


_FIELDS = tuple(each.name for each in fields(Transfer))


class Stored(NamedTuple):
    """A record as it stands, and its first answer where one was given."""

    transfer: Transfer
    answer: Answer | None
    attempts: int = 0


class Kept(NamedTuple):
    """A record as it stands, and the scope of the idempotency key it was made under, "" where that is not known."""

    transfer: Transfer
    key_scope: str


class Bound(NamedTuple):
    """What an idempotency key is bound to."""

    fingerprint: str
    transfer_id: str


class Due(NamedTuple):
    """A transfer whose time has passed without an end."""

    transfer_id: str
    due_at: str


class First(NamedTuple):
    """The first answer to a request, and whether it was given before."""

    answer: Answer
    replayed: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; every part that is set must hold. Times as `common.clock` writes them."""

    account_id: str | None = None
    kind: str | None = None
    status: str | None = None
    from_: str | None = None
    to: str | None = None
    counterparty: str | None = None
    min_amount: int | None = None
    max_amount: int | None = None

    def admits(self, transfer: Transfer, user_id: str) -> bool:
        """Whether a transfer of `user_id` passes."""
        return (
            (self.account_id is None or self._is_of_account(transfer, user_id))
            and (self.kind is None or transfer.kind == self.kind)
            and (self.status is None or transfer.status == self.status)
            and (self.from_ is None or transfer.created_at >= self.from_)
            and (self.to is None or transfer.created_at < self.to)
            and (self.counterparty is None or self._is_with_counterparty(transfer, user_id))
            and (self.min_amount is None or transfer.amount >= self.min_amount)
            and (self.max_amount is None or transfer.amount <= self.max_amount)
        )

    def _is_of_account(self, transfer: Transfer, user_id: str) -> bool:
        sides = (transfer.source, transfer.destination)
        return any(side.id == self.account_id and side.owner_id == user_id for side in sides)

    def _is_with_counterparty(self, transfer: Transfer, user_id: str) -> bool:
        source, destination = transfer.source, transfer.destination
        others = [other for own, other in ((source, destination), (destination, source)) if own.owner_id == user_id]
        return any(self.counterparty in (other.owner_id, other.alias) for other in others)

    @property
    def is_of_time_only(self) -> bool:
        """Whether nearly everything within `id_range` passes."""
        return self == Filter(from_=self.from_, to=self.to)

    def id_range(self) -> tuple[str, str]:
        """The ids between which everything in the time range lies. Wider than the range by a millisecond or so."""
        millisecond = timedelta(milliseconds=1)
        low = "" if self.from_ is None else _id_prefix(max(clock.parse(self.from_), _EPOCH + millisecond) - millisecond)
        high = "~" if self.to is None else _id_prefix(max(clock.parse(self.to), _EPOCH)) + "~"
        return low, high


def due_shard(transfer_id: str) -> str:
    """The shard of the `due` index that a transfer waits in."""
    return SHARDS[zlib.crc32(transfer_id.encode()) % len(SHARDS)]


def due_first(kind: Kind, now: datetime) -> str:
    """When a transfer that begins now should have ended by itself."""
    return clock.timestamp(now + _DUE_AFTER[kind])


def due_next(attempts: int, now: datetime) -> str:
    """When to look again after `attempts` earlier recoveries: in a minute, two, four, at most an hour."""
    return clock.timestamp(now + min(timedelta(minutes=2 ** min(attempts, 10)), _LONGEST_BACKOFF))


def _without(party: Party, user_id: str) -> Party:
    return replace(party, display_name=FORGOTTEN, alias=None) if party.owner_id == user_id else party


def _party_item(party: Party) -> dict[str, Any]:
    return {name: value for name, value in asdict(party).items() if value not in (None, False)}


def _id_prefix(at: datetime) -> str:
    """What the ids born at `at` begin with: the kind, and ten characters of time."""
    return ids.derived_id("trf", at)[:14]
