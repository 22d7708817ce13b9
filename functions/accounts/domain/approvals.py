"""The data from which transfers and deposits are approved."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.domain.payees import Payee


@dataclass(frozen=True, slots=True)
class ApprovalData:
    """What exists of the items that an approval asked for."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    """By id."""
    defaults: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Ids of default accounts by user and currency."""
    payees: Mapping[str, Payee] = field(default_factory=dict)
    """By user id or alias."""
    cards: Mapping[str, Card] = field(default_factory=dict)
    """Cards of the caller, by id."""
    bank_accounts: Mapping[str, BankAccount] = field(default_factory=dict)
    """Bank accounts of the caller, by id."""

    def joined(self, more: "ApprovalData") -> "ApprovalData":
        """Return this data together with that of another read."""
        return ApprovalData(
            accounts={**self.accounts, **more.accounts},
            defaults={**self.defaults, **more.defaults},
            payees={**self.payees, **more.payees},
            cards={**self.cards, **more.cards},
            bank_accounts={**self.bank_accounts, **more.bank_accounts},
        )
