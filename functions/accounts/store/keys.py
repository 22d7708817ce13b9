"""The keys of the table's items."""

from common.dynamo import Item, Key

LINK = "A#"
CARD = "C#"
BANK_ACCOUNT = "B#"
DEFAULT = "D#"


def user(user_id: str) -> str:
    """Return the partition of what a user owns."""
    return f"U#{user_id}"


def head(account_id: str) -> Key:
    """Return the key of an account's head."""
    return f"A#{account_id}", "H"


def pin(account_id: str) -> Key:
    """Return the key of an account's PIN."""
    return f"A#{account_id}", "P"


def pending_credits(account_id: str, shard: int) -> str:
    """Return the partition of the pending credits in one shard of an account."""
    return f"I#{account_id}#{shard:02}"


def pending_credit(account_id: str, shard: int, transfer_id: str, step: str) -> Key:
    """Return the key of a pending credit."""
    return pending_credits(account_id, shard), f"{transfer_id}#{step}"


def turn(account_id: str) -> Key:
    """Return the key that says whose turn it is to fold an account's pending credits."""
    return f"T#{account_id}", "T"


def journal(account_id: str) -> str:
    """Return the partition of an account's journal lines and folded batches."""
    return f"E#{account_id}"


def line(account_id: str, at: str, version: int) -> Key:
    """Return the key of a journal line, or of the folded batch that ends with it."""
    return journal(account_id), f"{at}#{version:012}"


def step(transfer_id: str, name: str) -> Key:
    """Return the key of the outcome of a transfer's step; its hold is the step `hold`."""
    return f"S#{transfer_id}", name


def link(owner_id: str, account_id: str) -> Key:
    """Return the key of the link from a user to their account."""
    return user(owner_id), LINK + account_id


def default(owner_id: str, currency: str) -> Key:
    """Return the key of a user's default account of a currency."""
    return user(owner_id), DEFAULT + currency


def deletion(user_id: str) -> Key:
    """Return the key that says that a user is being deleted: they open and link nothing any more."""
    return user(user_id), "X"


def links(user_id: str, kind: str) -> Key:
    """Return the key of how often a user opened or linked something: `LINK`, `CARD` or `BANK_ACCOUNT`.

    The number only grows. With it, the number of those that a user has is limited also for concurrent requests, and is
    still counted from what there is, so that it can't drift.
    """
    return user(user_id), f"N#{kind}"


def card_refusals(user_id: str, hour: str) -> Key:
    """Return the key of the number of a user's refused cards in an hour."""
    return user(user_id), f"R#{hour}"


def card(user_id: str, card_id: str) -> Key:
    """Return the key of a user's card."""
    return user(user_id), CARD + card_id


def bank_account(user_id: str, bank_account_id: str) -> Key:
    """Return the key of a user's bank account."""
    return user(user_id), BANK_ACCOUNT + bank_account_id


def fingerprint(digest: str) -> Key:
    """Return the key that says who linked the card of a digest."""
    return f"F#{digest}", "F"


def payee(name: str) -> Key:
    """Return the key of a payee's entry, by user id or alias."""
    return f"P#{name}", "P"


def look_ups(user_id: str, hour: str) -> Key:
    """Return the key of the number of a user's payee look-ups in an hour."""
    return f"L#{user_id}#{hour}", "L"


def keyed(key: Key) -> Item:
    """Return the key attributes of an item."""
    return {"pk": key[0], "sk": key[1]}
