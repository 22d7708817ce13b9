"""Transfers: the record of every movement of money, how it ends, and the events that it gives."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from common import clock
from common.contracts.accounts import Destination, Party
from common.contracts.events import Actor, Event
from common.contracts.transfers import Complete
from common.idempotency import Answer

from functions.transfers.domain.intents import Intent
from functions.transfers.domain.lifecycle import EVENT_TYPES, FINAL_STATUSES, LIFECYCLES, Kind, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTransfer(Intent):
    """Send money to another account. If `source_account_id` is None, the default account of the currency pays."""

    kind: ClassVar[Kind] = "transfer"
    source_account_id: str | None
    destination: Destination


@dataclass(frozen=True, slots=True)
class Transfer:
    """The record of a transfer of any kind.

    `sequence` counts its changes. `trace_id` and `instance` name the request in a problem document. `last4` are the
    digits by which the sandbox rail decides.
    """

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
    def from_record(cls, record: Mapping[str, Any]) -> "Transfer":
        """Return the transfer that `record` was made from. Unknown names are ignored."""
        known = {name: record[name] for name in _FIELDS if name in record}
        return cls(**{**known, "source": Party(**record["source"]), "destination": Party(**record["destination"])})

    def record(self) -> dict[str, Any]:
        """Return the transfer as plain data for tables and sagas: without empty fields, except `description`."""
        record = {name: getattr(self, name) for name in _FIELDS}
        record |= {"source": _party_record(self.source), "destination": _party_record(self.destination)}
        return {name: value for name, value in record.items() if name == "description" or value not in ("", {})}

    def saga_input(self) -> dict[str, Any]:
        """Return the input of the transfer's saga. It has the whole record, so that no step has to read it."""
        state: dict[str, Any] = {"transfer": self.record()}
        if rail := LIFECYCLES[self.kind].rail:
            state |= {"last4": self.last4, "rail_account": f"rail:{rail}:{self.currency}"}
        return state

    @property
    def payer_id(self) -> str | None:
        """The user whose account pays. None if the money comes from outside."""
        return self.source.owner_id if self.source.type == "account" else None

    @property
    def payee_id(self) -> str | None:
        """The user whose account is paid. None if the money goes outside."""
        return self.destination.owner_id if self.destination.type == "account" else None

    def is_party(self, user_id: str) -> bool:
        """Return whether a user sent, received or initiated the transfer."""
        return user_id in (self.source.owner_id, self.destination.owner_id, self.initiated_by)

    def ended(self, request: Complete, now: datetime) -> "Transfer":
        """Return the transfer with the outcome of its posting."""
        is_posted = request.outcome == "posted"
        return replace(
            self,
            status=FINAL_STATUSES[request.outcome],
            sequence=self.sequence + 1,
            decline_code=request.code if request.outcome == "declined" else "",
            posted_at=request.at if is_posted else "",
            completed_at=clock.timestamp(now) if is_posted else "",
        )

    def event(self, at: datetime, actor: Actor) -> Event:
        """Return the event of the transfer's last change."""
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
        return Event.new(EVENT_TYPES[self.status], self.id, self.sequence, at, data, actor)


class TransferState(NamedTuple):
    """A transfer, the first answer to its request if one was stored, and how often recovery has started its saga."""

    transfer: Transfer
    answer: Answer | None
    attempts: int = 0


_FIELDS = tuple(each.name for each in fields(Transfer))


def _party_record(party: Party) -> dict[str, Any]:
    return {name: value for name, value in asdict(party).items() if value not in (None, False)}
