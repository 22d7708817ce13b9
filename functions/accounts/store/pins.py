"""PINs in the accounts table."""

from collections.abc import Sequence
from dataclasses import asdict

from common.answers import Answers, put_done
from common.contracts.events import Event
from common.dynamo import ABSENT, ConditionFailed, Put, Table, Update, Where
from common.errors import Stale
from common.idempotency import IdempotencyKey

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.pins import MAX_TRIES, Pin
from functions.accounts.store import keys
from functions.accounts.store.accounts import head_update, transact
from functions.accounts.store.heads import fields_of
from functions.accounts.store.items import account_of


class PinStore:
    """The PINs of the table. `answers` are the commands that were done under idempotency keys."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.answers = Answers(table)

    def get(self, account_id: str) -> tuple[Account | None, Pin | None]:
        """Return an account and its PIN, None for what does not exist."""
        items = self._table.batch_get([keys.head(account_id), keys.pin(account_id)])
        head, pin = items.get(keys.head(account_id)), items.get(keys.pin(account_id))
        return account_of(head) if head else None, Pin(**fields_of(Pin, pin)) if pin else None

    def reset_tries(self, account_id: str, pin: Pin) -> None:
        """Forget the wrong tries in a row. Raises Stale if the PIN was locked or set since it was read."""
        where: Where = [
            ("version", "=", pin.version),
            ("tries", "<", MAX_TRIES),
            # PINs that were set before tries were counted by day lack both attributes.
            ("day", "absent or =", pin.day),
            ("day_tries", "absent or =", pin.day_tries),
        ]
        try:
            self._table.update(Update(keys.pin(account_id), set={"tries": 0}, where=where))
        except ConditionFailed as failed:
            raise Stale from failed

    def count_try(self, account: Account, changed: Account, pin: Pin, failed: Pin, events: Sequence[Event]) -> None:
        """Write a PIN as `failed`, with its events. Raises Stale if account or PIN changed since they were read."""
        tries = {"tries": failed.tries, "day": failed.day, "day_tries": failed.day_tries}
        count = Update(keys.pin(account.id), set=tries, where=_as_read(pin))
        transact(self._table, [count, head_update(account, changed, *events)])

    def set(
        self, account: Account, changed: Account, former: Pin | None, pin: Pin, event: Event, key: IdempotencyKey | None
    ) -> None:
        """Write a PIN in place of `former`, with its event, and store under `key` that it was done.

        Raises Stale if account or PIN changed since they were read, or if the key was used.
        """
        item = {**keys.keyed(keys.pin(account.id)), "account_id": account.id, **asdict(pin)}
        new = Put(item, _as_read(former) if former else ABSENT)
        transact(self._table, [new, head_update(account, changed, event), *([put_done(key)] if key else [])])


def _as_read(pin: Pin) -> Where:
    # Every wrong try also changes the account: a try that a success hid since is found there.
    return [("version", "=", pin.version), ("tries", "=", pin.tries)]
