"""What authorizations rest on, read at once."""

from collections.abc import Sequence

from common.dynamo import Table

from functions.accounts.domain.facts import Facts
from functions.accounts.store import keys
from functions.accounts.store.items import account_of, bank_account_of, card_of, payee_of


class FactTable:
    """`service.authorization.FactStore` over the accounts table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def look_up(
        self,
        *,
        accounts: Sequence[str] = (),
        defaults: Sequence[tuple[str, str]] = (),
        payees: Sequence[str] = (),
        cards: Sequence[tuple[str, str]] = (),
        bank_accounts: Sequence[tuple[str, str]] = (),
    ) -> Facts:
        """Everything asked for in one call; see `FactStore.look_up`."""
        head_of = {keys.head(account_id): account_id for account_id in accounts}
        default_of = {keys.default(*owned): owned for owned in defaults}
        payee_of_key = {keys.payee(name): name for name in payees}
        card_of_key = {keys.card(*owned): owned[1] for owned in cards}
        bank_account_of_key = {keys.bank_account(*owned): owned[1] for owned in bank_accounts}
        items = self._table.batch_get([*head_of, *default_of, *payee_of_key, *card_of_key, *bank_account_of_key])
        return Facts(
            accounts={head_of[key]: account_of(item) for key, item in items.items() if key in head_of},
            defaults={default_of[key]: item["account_id"] for key, item in items.items() if key in default_of},
            payees={payee_of_key[key]: payee_of(item) for key, item in items.items() if key in payee_of_key},
            cards={card_of_key[key]: card_of(item) for key, item in items.items() if key in card_of_key},
            bank_accounts={
                bank_account_of_key[key]: bank_account_of(item)
                for key, item in items.items()
                if key in bank_account_of_key
            },
        )
