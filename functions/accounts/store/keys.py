"""Where the items of accounts, instruments and payees are in the table."""

from common.dynamo import Key

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


def link(owner_id: str, account_id: str) -> Key:
    """That a user owns an account."""
    return user(owner_id), LINK + account_id


def default(owner_id: str, currency: str) -> Key:
    """A user's default account of a currency."""
    return user(owner_id), DEFAULT + currency


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


def answer(scope: str) -> Key:
    """An idempotency key."""
    return f"K#{scope}", "K"
