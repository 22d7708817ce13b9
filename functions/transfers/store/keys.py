"""The keys and indexes of the transfers table."""

from common.dynamo import Key

DUE_INDEX = ("due", "due_shard", "due_at")
PARTY_INDEXES = (("by_payer", "payer", "pk"), ("by_payee", "payee", "pk"))
RECORD = "R"


def record(transfer_id: str) -> Key:
    """Return the key of a transfer's record."""
    return f"T#{transfer_id}", RECORD


def declines(user_id: str, hour: str) -> Key:
    """Return the key of the number of a user's declines in an hour."""
    return f"D#{user_id}#{hour}", "D"


def hidden(payee_id: str) -> str:
    """Return the partition of the `by_payee` index for transfers that the payee does not see."""
    return f"hidden#{payee_id}"


def binding(scope: str) -> Key:
    """Return the key of what an idempotency key is bound to."""
    return f"K#{scope}", "K"
