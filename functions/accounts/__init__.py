"""Owns accounts, the ledger, holds, limits, PINs, cards, bank accounts and payees; publishes `account.*`, `pin.*`,
`limit.exceeded`, `balance.low` and `ledger.drifted`; consumes `user.*`."""
