"""What clients receive: a transfer as the viewer may see it, and the first answer to a request.

These are dataclasses and not pydantic models, because the `complete` task renders answers too. It runs within
POST /transfers, and importing pydantic would be a third of its cold start.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from common.contracts.accounts import Party
from common.errors import Refusal
from common.http.problems import problem_answer
from common.idempotency import Answer, render

from functions.transfers.domain.transfers import Transfer


@dataclass(frozen=True, slots=True)
class PartyResource:
    """One side of a transfer. `id` is None if the viewer may not know it."""

    type: str
    id: str | None
    alias: str | None
    display_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferResource:
    """A transfer of the API. The order of the fields is the order of the JSON members."""

    id: str
    kind: str
    status: str
    amount: int
    captured_amount: int = 0
    refunded_amount: int = 0
    currency: str
    source: PartyResource
    destination: PartyResource
    initiated_by: str
    description: str
    metadata: Mapping[str, str]
    decline_code: str | None
    suspicious: bool = False
    reference: str | None = None
    created_at: str
    completed_at: str | None

    @classmethod
    def of(cls, transfer: Transfer, viewer_id: str, *, is_admin: bool = False) -> "TransferResource":
        """Return a transfer as a viewer may see it: ids that are theirs or that they named, and their own declines.

        The payee's name is masked until the payee sees the transfer.
        """
        is_initiator = viewer_id == transfer.initiated_by

        def party(side: Party, name: str) -> PartyResource:
            is_known = is_admin or side.owner_id == viewer_id or (side.addressed and is_initiator)
            return PartyResource(side.type, side.id if is_known else None, side.alias, name)

        return cls(
            id=transfer.id,
            kind=transfer.kind,
            status=transfer.status,
            amount=transfer.amount,
            currency=transfer.currency,
            source=party(transfer.source, transfer.source.display_name),
            destination=party(
                transfer.destination, transfer.destination.display_name if is_admin else transfer.destination_name
            ),
            initiated_by=transfer.initiated_by,
            description=transfer.description,
            metadata=dict(transfer.metadata),
            decline_code=(transfer.decline_code or None) if is_initiator or is_admin else None,
            created_at=transfer.created_at,
            completed_at=transfer.completed_at or None,
        )


def respond(transfer: Transfer) -> Answer:
    """Return the answer to the initiator's request in the transfer's current state.

    A decline is a problem document with the transfer's id. A failed transfer is a 202 whose body says so.
    """
    if transfer.status == "declined":
        refusal = Refusal(transfer.decline_code, transfer_id=transfer.id)
        return problem_answer(refusal, instance=transfer.instance, trace_id=transfer.trace_id)
    status = 201 if transfer.status == "completed" else 202
    body = render(TransferResource.of(transfer, transfer.initiated_by))
    return Answer(status, body, location=f"/v1/transfers/{transfer.id}")
