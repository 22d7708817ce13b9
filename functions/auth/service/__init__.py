"""Use cases, one file a subject."""

from datetime import datetime

from common.errors import Refusal

from functions.auth.domain.sessions import Session
from functions.auth.domain.users import User

ATTEMPTS = 16
"""How often a use case runs if others keep changing what it has read."""
NOBODY = "nobody"
"""An id that no user has, for reads that do the same work for an unknown address."""


def signed_in_user(user: User | None) -> User:
    """Return the caller as found in the store. Raises Refusal `unauthenticated` if they were deleted."""
    if user is None:
        raise Refusal("unauthenticated")
    return user


def live_session(session: Session | None, user: User, at: datetime) -> Session:
    """Return a session of the user as found in the store. Raises Refusal `unauthenticated` unless it is live.

    The gateway may cache its decision for a minute, so that an ended session still reaches the endpoints.
    """
    if session is None or not session.is_live(at, user):
        raise Refusal("unauthenticated")
    return session
