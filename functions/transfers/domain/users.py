"""Deleted users: what is removed from the records of their transfers."""

from dataclasses import replace
from typing import NamedTuple

from common.contracts.accounts import Party
from common.errors import Fault

from functions.transfers.domain.names import DELETED_USER_NAME
from functions.transfers.domain.transfers import Transfer


class Unfinished(Fault):
    """One call has done its share of the work. The next call continues."""


class RecordWithKey(NamedTuple):
    """A transfer, and the scope of the idempotency key that made it; "" in records that did not store it yet."""

    transfer: Transfer
    key_scope: str


def without_personal_data(transfer: Transfer, user_id: str) -> Transfer:
    """Return the transfer without the name and alias of a deleted user."""
    source, destination = (_without_name(side, user_id) for side in (transfer.source, transfer.destination))
    return replace(transfer, source=source, destination=destination)


def _without_name(party: Party, user_id: str) -> Party:
    return replace(party, display_name=DELETED_USER_NAME, alias=None) if party.owner_id == user_id else party
