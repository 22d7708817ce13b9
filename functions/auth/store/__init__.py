"""The table of the auth context, one file a subject. docs/data.md describes its items."""

from functions.auth.store.addresses import AddressStore
from functions.auth.store.administration import AdministrationStore
from functions.auth.store.api_keys import ApiKeyStore
from functions.auth.store.authenticators import AuthenticatorStore
from functions.auth.store.codes import CodeStore
from functions.auth.store.sessions import SessionStore
from functions.auth.store.throttle import ThrottleStore
from functions.auth.store.users import UserStore


class AuthStore(
    UserStore,
    AddressStore,
    CodeStore,
    AuthenticatorStore,
    ThrottleStore,
    SessionStore,
    ApiKeyStore,
    AdministrationStore,
):
    """All items of the table."""
