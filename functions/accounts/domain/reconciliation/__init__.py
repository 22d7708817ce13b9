"""Reconciliation: checks that the items of the accounts table agree with one another.

It reads items only, and shares no code with the ledger that writes them. docs/data.md describes the items.
"""
