"""Owns accounts, the ledger, holds, cards, bank accounts and the payee directory; publishes `account.*`; hears `user.*`."""
