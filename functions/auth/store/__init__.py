"""The auth room's table, one file a subject; its items are in docs/data.md."""

from functions.auth.store.codes import CodeStore
from functions.auth.store.sessions import SessionStore
from functions.auth.store.users import UserStore


class Store(UserStore, CodeStore, SessionStore):
    """Users, their addresses, sessions and challenges, and what is counted against guessing."""
