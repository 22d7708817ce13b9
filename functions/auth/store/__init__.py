"""The auth room's table, one file a subject; its items are in docs/data.md."""

from functions.auth.store.administration import AdministrationStore
from functions.auth.store.api_keys import ApiKeyStore
from functions.auth.store.codes import CodeStore
from functions.auth.store.factors import FactorStore
from functions.auth.store.sessions import SessionStore
from functions.auth.store.throttle import ThrottleStore
from functions.auth.store.users import UserStore


class Store(UserStore, CodeStore, FactorStore, ThrottleStore, SessionStore, ApiKeyStore, AdministrationStore):
    """Users, their addresses, sessions, keys and challenges, and what is counted against guessing."""
