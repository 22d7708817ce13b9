"""What an authorization rests on: items of the room as of one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.accounts.domain.accounts import Account
from functions.accounts.domain.instruments import BankAccount, Card
from functions.accounts.domain.payees import Payee


@dataclass(frozen=True, slots=True)
class Facts:
    """What was there of what was asked for."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    """By id."""
    defaults: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Ids of default accounts by user and currency; a default is never closed, for closing takes it away."""
    payees: Mapping[str, Payee] = field(default_factory=dict)
    """By user id or alias."""
    cards: Mapping[str, Card] = field(default_factory=dict)
    """The asking user's, by id."""
    bank_accounts: Mapping[str, BankAccount] = field(default_factory=dict)
    """The asking user's, by id."""

    def joined(self, more: "Facts") -> "Facts":
        """With what another read found."""
        return Facts(
            accounts={**self.accounts, **more.accounts},
            defaults={**self.defaults, **more.defaults},
            payees={**self.payees, **more.payees},
            cards={**self.cards, **more.cards},
            bank_accounts={**self.bank_accounts, **more.bank_accounts},
        )
