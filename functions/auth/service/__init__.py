"""Use cases, one file a subject."""

from common.errors import Refusal

from functions.auth.domain.users import User

ATTEMPTS = 16
"""How often a use case runs if others keep changing what it has read."""


def signed_in_user(user: User | None) -> User:
    """Return the caller as found in the store. Raises Refusal `unauthenticated` if they were deleted."""
    if user is None:
        raise Refusal("unauthenticated")
    return user
