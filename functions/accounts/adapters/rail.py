"""The sandbox rail's check of cards, in place of a card network's zero-amount authorization."""

from functions.accounts.domain.instruments import NewCard

_REFUSED_CVV = "000"


class SandboxCardCheck:
    """Accepts every card but those whose cvv is `000`."""

    def passes(self, card: NewCard) -> bool:
        """Return whether holder, expiry and cvv belong to the card."""
        return card.cvv != _REFUSED_CVV
