"""Owns accounts, the ledger, holds, cards, bank accounts, payees; publishes `account.*`; hears `user.*`."""
