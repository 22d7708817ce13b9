"""The keys and indexes of the transfers table."""

from common.dynamo import Key

DUE_INDEX = ("due", "due_shard", "due_at")
PARTY_INDEXES = (("by_payer", "payer", "pk"), ("by_payee", "payee", "pk"))
RECORD = "R"


def record(transfer_id: str) -> Key:
    """Return the key of a transfer's record."""
    return f"T#{transfer_id}", RECORD


def binding(scope: str) -> Key:
    """Return the key of what an idempotency key is bound to."""
    return f"K#{scope}", "K"
