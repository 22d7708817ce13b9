"""Who owns what: links, default accounts, cards and payees, which the table stores more than once."""

import json
from collections.abc import Iterator, Mapping

from functions.accounts.domain.reconciliation.accounts import AccountItems, Item
from functions.accounts.domain.reconciliation.findings import Violation
from functions.accounts.domain.reconciliation.pairs import Pairs


class Ownership:
    """The items of users and of the payee directory. `copies` counts those that repeat what another item states."""

    def __init__(self, pairs: Pairs) -> None:
        self.copies = 0
        self._pairs = pairs
        self._defaults: list[tuple[str, str, str]] = []
        self._deleted_users: set[str] = set()

    def read_owner(self, account_id: str, owner_id: str) -> None:
        """Read the owner that an account's head names; system accounts have none."""
        if owner_id:
            self.copies += 1
            self._pairs.add(account_id, 1, "link", owner_id)

    def read_owned(self, user_id: str, item: Item) -> None:
        """Read an item of a user's partition."""
        kind, _, name = item["sk"].partition("#")
        if kind == "A":
            self._pairs.add(name, -1, "link", user_id)
        elif kind == "D":
            self.copies += 1
            self._defaults.append((user_id, name, item["account_id"]))
        elif kind == "X" and item.get("kept"):
            self._deleted_users.add(user_id)
        elif kind == "C":
            self.copies += 1
            for digest in item.get("fingerprints") or [item["fingerprint"]]:
                self._pairs.add(item["id"], 1, "card", user_id, digest)

    def read_fingerprint(self, digest: str, item: Item) -> None:
        """Read the item that reserves a card's number for its user."""
        self._pairs.add(item["card_id"], -1, "card", item["user_id"], digest)

    def read_payee(self, name: str, item: Item) -> None:
        """Read an entry of the payee directory, under a user's id or an alias."""
        self.copies += 1
        user_id = item["user_id"]
        # `at` may differ: the same state of a user can arrive twice, and an alias be claimed the second time.
        content = json.dumps({key: item[key] for key in item if key not in ("pk", "sk", "at")}, sort_keys=True)
        if name != user_id:
            self._pairs.add(user_id, -1, "payee", name, content)
            return
        for alias in (item["email"], item["phone"]):
            if alias:
                self._pairs.add(user_id, 1, "payee", alias, content)

    def violations(self, accounts: Mapping[str, AccountItems]) -> Iterator[tuple[int, Violation]]:
        """Yield what is wrong with default accounts, and the open accounts of deleted users."""
        for user_id, currency, account_id in self._defaults:
            account = accounts.get(account_id)
            head = account.head if account else None
            if account is None or head is None:
                yield 8, Violation(account_id, f"is the default of {user_id} and does not exist")
            elif (head.owner_id, account.currency) != (user_id, currency) or head.status == "closed":
                what = f"is the {currency} default of {user_id} and a {head.status} {account.currency} account of "
                yield 8, Violation(account_id, what + head.owner_id)
        defaults = {(user_id, currency) for user_id, currency, _ in self._defaults}
        for account_id, account in accounts.items():
            head = account.head
            if head is None or not head.owner_id or head.status == "closed":
                continue
            if (head.owner_id, account.currency) not in defaults:
                yield 8, Violation(account_id, f"is open, and {head.owner_id} has no {account.currency} default")
            if head.owner_id in self._deleted_users:
                yield 8, Violation(account_id, f"is open, and {head.owner_id} is deleted")
