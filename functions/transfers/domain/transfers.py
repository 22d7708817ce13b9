"""Transfers: the record of every movement of money, how it ends, and the events that it gives."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple

from common import clock
from common.contracts.accounts import Destination, Party
from common.contracts.events import Actor, Event
from common.contracts.transfers import Complete
from common.idempotency import Answer

from functions.transfers.domain.deposits import RailAnswer
from functions.transfers.domain.intents import Intent
from functions.transfers.domain.lifecycle import FINAL_STATUSES, LIFECYCLES, STATUSES, Kind, Status
from functions.transfers.domain.names import masked

RETURNED = "returned"
"""The `decline_code` of a transfer that failed after the rail had confirmed: the rail took the money back."""


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
    digits by which the sandbox rail decides. `rail_outcome` and `rail_code` are what the rail answered.
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
    rail_outcome: Literal["", "confirmed", "declined", "refunded"] = ""
    rail_code: str = ""

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

    @property
    def owner_ids(self) -> tuple[str, str]:
        """The users who own the source and the destination."""
        return self.source.owner_id, self.destination.owner_id

    @property
    def is_visible_to_payee(self) -> bool:
        """Whether money was moved or set aside for the payee, or the payee is the initiator."""
        return STATUSES[self.status].is_visible_to_payee or self.payee_id == self.initiated_by

    def is_visible_to(self, user_id: str) -> bool:
        """Return whether a user is a party who may see the transfer."""
        is_payee = self.is_visible_to_payee and user_id == self.destination.owner_id
        return is_payee or user_id in (self.source.owner_id, self.initiated_by)

    @property
    def destination_name(self) -> str:
        """The name of the destination as the initiator sees it: masked until the payee sees the transfer."""
        name = self.destination.display_name
        return name if self.payee_id is None or self.is_visible_to_payee else masked(name)

    @property
    def is_to_be_returned(self) -> bool:
        """Whether the transfer has ended without a posting, but the rail has confirmed, and keeps the money moved."""
        return self.status in ("declined", "failed") and self.rail_outcome == "confirmed"

    def answered(self, answer: RailAnswer) -> "Transfer":
        """Return the transfer with an answer of its rail. A confirmation is final, and the same answer changes nothing.

        A rail that does not take the money back is asked again, so that answer is not recorded.
        """
        if answer.operation == "collect" and self.rail_outcome in ("", "declined"):
            return replace(self, rail_outcome=answer.outcome, rail_code=answer.code)
        if answer.operation == "refund" and answer.outcome == self.rail_outcome == "confirmed":
            code = RETURNED if self.status == "failed" else self.decline_code
            return replace(self, rail_outcome="refunded", decline_code=code)
        return self

    def ended(self, request: Complete, now: datetime) -> "Transfer":
        """Return the transfer with the outcome of its posting."""
        is_posted = request.outcome == "posted"
        return replace(
            self,
            status=FINAL_STATUSES[request.outcome],
            sequence=self.sequence + 1,
            decline_code={"declined": request.code, "returned": RETURNED}.get(request.outcome, ""),
            posted_at=request.at if is_posted else "",
            completed_at=clock.timestamp(now) if is_posted else "",
        )

    def event(self, at: datetime, actor: Actor) -> Event:
        """Return the event of the transfer's last change. It names the payee only if they may see the transfer."""
        data = {
            "transfer_id": self.id,
            "kind": self.kind,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "description": self.description,
            "payer_id": self.payer_id,
            "payee_id": self.payee_id if self.is_visible_to_payee else None,
            "source_name": self.source.display_name,
            "destination_name": self.destination_name,
            "code": self.decline_code,
        }
        return Event.new(STATUSES[self.status].event, self.id, self.sequence, at, data, actor)


class TransferState(NamedTuple):
    """A transfer, the first answer to its request if one was stored, and how often recovery has started its saga."""

    transfer: Transfer
    answer: Answer | None
    attempts: int = 0


_FIELDS = tuple(each.name for each in fields(Transfer))


def _party_record(party: Party) -> dict[str, Any]:
    return {name: value for name, value in asdict(party).items() if value not in (None, False)}
