"""The keys of the table (docs/data.md)."""

from common.dynamo import Key

USER_SHARDS = tuple("01234567")
"""The partitions of the index `users`. Every change of a user is written there, so that a single one would be hot."""
ADMINS: Key = ("A", "A")
"""The number of admins."""


def user_key(user_id: str) -> Key:
    """Return the key of a user."""
    return f"U#{user_id}", "U"


def session_key(user_id: str, session_id: str) -> Key:
    """Return the key of a session."""
    return f"U#{user_id}", f"S#{session_id}"


def device_key(user_id: str, digest: str) -> Key:
    """Return the key of a device that a user signed in from."""
    return f"U#{user_id}", f"D#{digest}"


def signed_in_key(user_id: str) -> Key:
    """Return the key of the item that exists if a user has ever signed in."""
    return f"U#{user_id}", "D"


def api_key_ids_key(user_id: str) -> Key:
    """Return the key of the list of a user's API keys."""
    return f"U#{user_id}", "K"


def api_key_key(key_id: str) -> Key:
    """Return the key of an API key."""
    return f"K#{key_id}", "K"


def attempts_key(user_id: str, purpose: str, device: str = "") -> Key:
    """Return the key of a user's open challenge for a purpose: everybody's, or that of a known device."""
    return f"U#{user_id}", f"Q#{purpose}#{device}" if device else f"Q#{purpose}"


def authenticator_key(user_id: str) -> Key:
    """Return the key of a user's authenticator app."""
    return f"U#{user_id}", "F"


def email_key(email: str) -> Key:
    """Return the key of the claim on an email address."""
    return f"E#{email}", "E"


def phone_key(phone: str) -> Key:
    """Return the key of the claim on a phone number."""
    return f"N#{phone}", "N"


def challenge_key(challenge_id: str) -> Key:
    """Return the key of a challenge."""
    return f"C#{challenge_id}", "C"


def failures_key(digest: str) -> Key:
    """Return the key of a counter of failed logins."""
    return f"L#{digest}", "L"


def quota_key(digest: str) -> Key:
    """Return the key of what was used of a quota."""
    return f"T#{digest}", "T"


def code_request_key(digest: str) -> Key:
    """Return the key of the time of the last code request."""
    return f"R#{digest}", "R"
