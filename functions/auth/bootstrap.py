"""Wiring: the environment gives clients, clients give store and adapters, and these give services.

Each service is made on first use. Imports stand inside the functions to keep cold starts short.
"""

import secrets
from functools import cache, partial
from typing import TYPE_CHECKING

from common import clock, ids
from common.aws import client, keyring
from common.config import config

if TYPE_CHECKING:
    from functions.auth.adapters.passwords import BcryptHasher
    from functions.auth.adapters.tokens import AccessTokens
    from functions.auth.service.addresses import Addresses
    from functions.auth.service.administration import Administration
    from functions.auth.service.api_keys import ApiKeys
    from functions.auth.service.authenticators import Authenticators
    from functions.auth.service.codes import Codes
    from functions.auth.service.credentials import Credentials
    from functions.auth.service.login import Login
    from functions.auth.service.passwords import Passwords
    from functions.auth.service.profile import Profile
    from functions.auth.service.reauthentication import Reauthentication
    from functions.auth.service.registration import Registration
    from functions.auth.service.second_factor import SecondFactor
    from functions.auth.service.sessions import Sessions
    from functions.auth.service.users import Users
    from functions.auth.store import AuthStore


@cache
def registration() -> "Registration":
    """Return the service of registration and email verification."""
    from functions.auth.service.registration import Registration

    return Registration(_store(), codes(), _hasher(), clock.now, ids.new_id, config().registrations_per_address)


@cache
def codes() -> "Codes":
    """Return the service of one-time codes."""
    from functions.auth.service.codes import Codes

    return Codes(_store(), clock.now, ids.new_id, _new_code, partial(keyring, "code"))


@cache
def login() -> "Login":
    """Return the service of the first step of a login."""
    from functions.auth.service.login import Login

    return Login(_store(), credentials(), codes(), sessions(), clock.now)


@cache
def second_factor() -> "SecondFactor":
    """Return the service of the second step of a login."""
    from functions.auth.service.second_factor import SecondFactor

    return SecondFactor(_store(), codes(), authenticators(), credentials(), sessions(), clock.now)


@cache
def credentials() -> "Credentials":
    """Return the service that checks passwords."""
    from functions.auth.domain.throttle import ThrottleRules
    from functions.auth.service.credentials import Credentials

    rules = ThrottleRules.of(config().login_failures_per_email, config().login_failures_per_address)
    return Credentials(_store(), _hasher(), rules, clock.now)


@cache
def authenticators() -> "Authenticators":
    """Return the service of authenticator apps."""
    from functions.auth.adapters.cipher import KmsCipher
    from functions.auth.service.authenticators import Authenticators

    cipher = KmsCipher(client("kms"), config().data_key)
    keys = partial(keyring, "code")
    return Authenticators(_store(), credentials(), cipher, keys, _new_totp_secret, _new_recovery_code, clock.now)


@cache
def reauthentication() -> "Reauthentication":
    """Return the service of logins within a session."""
    from functions.auth.service.reauthentication import Reauthentication

    return Reauthentication(_store(), credentials(), login(), codes(), authenticators(), sessions(), clock.now)


@cache
def passwords() -> "Passwords":
    """Return the service that changes and resets passwords."""
    from functions.auth.service.passwords import Passwords

    return Passwords(_store(), codes(), credentials(), _hasher(), clock.now)


@cache
def addresses() -> "Addresses":
    """Return the service that changes email addresses and phone numbers."""
    from functions.auth.service.addresses import Addresses

    return Addresses(_store(), codes(), credentials(), clock.now)


@cache
def profile() -> "Profile":
    """Return the service of users' own names and second factor."""
    from common.http.text import imitates_product

    from functions.auth.service.profile import Profile

    return Profile(_store(), credentials(), imitates_product, clock.now)


@cache
def sessions() -> "Sessions":
    """Return the service of sessions."""
    from functions.auth.service.sessions import Sessions

    return Sessions(_store(), tokens(), clock.now, ids.new_id, _new_secret)


@cache
def api_keys() -> "ApiKeys":
    """Return the service of API keys."""
    from functions.auth.service.api_keys import ApiKeys

    return ApiKeys(_store(), clock.now, ids.new_id, _new_secret)


@cache
def administration() -> "Administration":
    """Return the service of roles, suspension and deletion."""
    from common.contracts.accounts import CLOSE_ACCOUNTS
    from common.tasks import call

    from functions.auth.service.administration import Administration

    return Administration(_store(), partial(call, CLOSE_ACCOUNTS), clock.now)


@cache
def users() -> "Users":
    """Return the service that reads users."""
    from functions.auth.service.users import Users

    return Users(_store())


@cache
def tokens() -> "AccessTokens":
    """Return the access tokens of this issuer."""
    from functions.auth.adapters.signer import KmsSigner
    from functions.auth.adapters.tokens import AccessTokens

    signer, *others = (KmsSigner(client("kms"), key) for key in config().token_keys)
    return AccessTokens(signer, config().public_url, others)


@cache
def _store() -> "AuthStore":
    from common.dynamo import Table

    from functions.auth.store import AuthStore

    return AuthStore(Table(client("dynamodb"), config().table("auth")))


def _hasher() -> "BcryptHasher":
    from functions.auth.adapters.passwords import BcryptHasher

    return BcryptHasher(config().bcrypt_cost)


def _new_code() -> str:
    return f"{secrets.randbelow(10**6):06}"


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _new_totp_secret() -> str:
    import pyotp

    return pyotp.random_base32()


def _new_recovery_code() -> str:
    # 49 random bits, without letters and digits that look alike.
    code = "".join(secrets.choice("abcdefghjkmnpqrstvwxyz23456789") for _ in range(10))
    return f"{code[:5]}-{code[5:]}"
