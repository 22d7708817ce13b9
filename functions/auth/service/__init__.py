"""The room's use cases, one file a subject; each declares the store and the adapters that it needs."""

from collections.abc import Callable
from typing import TypeVar

from common.errors import Problem

from functions.auth.domain import Stale
from functions.auth.domain.users import User

T = TypeVar("T")
_ROUNDS = 16


def present(caller: User | None) -> User:
    """A caller as they were found. Raises Problem `unauthenticated` where they are gone."""
    if caller is None:
        raise Problem("unauthenticated")
    return caller


def settled(attempt: Callable[[], T]) -> T:
    """What `attempt` answers; it reads, decides and writes, and does so again while its write finds the read stale.

    Raises Problem `unavailable` where others keep getting in between.
    """
    for _ in range(_ROUNDS):
        try:
            return attempt()
        except Stale:
            continue
    raise Problem("unavailable", retry_after=1)
