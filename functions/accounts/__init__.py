"""Owns accounts, the ledger, holds, limits, PINs, cards, bank accounts, payees; publishes `account.*`, `pin.*`,
`limit.exceeded`, `balance.low`, `ledger.drifted`; hears `user.*`."""
