"""Where the room's items are in the table."""

from common.dynamo import Item, Key

LINK = "A#"
CARD = "C#"
BANK_ACCOUNT = "B#"
DEFAULT = "D#"


def user(user_id: str) -> str:
    """The partition of what a user owns."""
    return f"U#{user_id}"


def head(account_id: str) -> Key:
    """An account's head."""
    return f"A#{account_id}", "H"


def pin(account_id: str) -> Key:
    """An account's PIN."""
    return f"A#{account_id}", "P"


def inbox(account_id: str, shard: int) -> str:
    """The partition of what waits in one shard of an account's inbox."""
    return f"I#{account_id}#{shard:02}"


def waiting(account_id: str, shard: int, transfer_id: str, step: str) -> Key:
    """An entry that waits in an inbox."""
    return inbox(account_id, shard), f"{transfer_id}#{step}"


def turn(account_id: str) -> Key:
    """Whose turn it is to fold an account's inbox."""
    return f"T#{account_id}", "T"


def journal(account_id: str) -> str:
    """The partition of an account's journal lines and pages."""
    return f"E#{account_id}"


def line(account_id: str, at: str, version: int) -> Key:
    """A journal line, or the page that ends with it."""
    return journal(account_id), f"{at}#{version:012}"


def step(transfer_id: str, name: str) -> Key:
    """The marker of a transfer's step; its hold is the step `hold`."""
    return f"S#{transfer_id}", name


def link(owner_id: str, account_id: str) -> Key:
    """That a user owns an account."""
    return user(owner_id), LINK + account_id


def default(owner_id: str, currency: str) -> Key:
    """A user's default account of a currency."""
    return user(owner_id), DEFAULT + currency


def tombstone(user_id: str) -> Key:
    """That a user leaves: nothing is opened or linked for them any more."""
    return user(user_id), "X"


def card(user_id: str, card_id: str) -> Key:
    """A user's card."""
    return user(user_id), CARD + card_id


def bank_account(user_id: str, bank_account_id: str) -> Key:
    """A user's bank account."""
    return user(user_id), BANK_ACCOUNT + bank_account_id


def fingerprint(digest: str) -> Key:
    """Who linked the card of a digest."""
    return f"F#{digest}", "F"


def payee(name: str) -> Key:
    """An entry of the payee directory, by user id or alias."""
    return f"P#{name}", "P"


def look_ups(user_id: str, hour: str) -> Key:
    """How often a user looked for payees in an hour."""
    return f"L#{user_id}#{hour}", "L"


def answer(scope: str) -> Key:
    """An idempotency key."""
    return f"K#{scope}", "K"


def keyed(key: Key) -> Item:
    """The beginning of an item."""
    return {"pk": key[0], "sk": key[1]}
