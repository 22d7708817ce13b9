"""The data of approvals, read in one call."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from common.dynamo import Item, Key, Table

from functions.accounts.domain.approvals import ApprovalData
from functions.accounts.store import keys
from functions.accounts.store.items import account_of, bank_account_of, card_of, payee_of

IdT = TypeVar("IdT")
ThingT = TypeVar("ThingT")


class ApprovalStore:
    """What approvals read of the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def read(
        self,
        *,
        accounts: Sequence[str] = (),
        defaults: Sequence[tuple[str, str]] = (),
        payees: Sequence[str] = (),
        cards: Sequence[tuple[str, str]] = (),
        bank_accounts: Sequence[tuple[str, str]] = (),
    ) -> ApprovalData:
        """Return what exists of these items, in one call.

        Accounts are given by id, defaults by user and currency, payees by user id or alias, cards and bank accounts by
        user and id.
        """
        by_key = (
            {keys.head(account_id): account_id for account_id in accounts},
            {keys.default(*owned): owned for owned in defaults},
            {keys.payee(name): name for name in payees},
            {keys.card(*owned): owned[1] for owned in cards},
            {keys.bank_account(*owned): owned[1] for owned in bank_accounts},
        )
        items = self._table.batch_get(key for each in by_key for key in each)

        def found(ids: dict[Key, IdT], read: Callable[[Item], ThingT]) -> dict[IdT, ThingT]:
            return {ids[key]: read(item) for key, item in items.items() if key in ids}

        return ApprovalData(
            accounts=found(by_key[0], account_of),
            defaults=found(by_key[1], lambda item: item["account_id"]),
            payees=found(by_key[2], payee_of),
            cards=found(by_key[3], card_of),
            bank_accounts=found(by_key[4], bank_account_of),
        )
