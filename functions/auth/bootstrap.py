"""Wiring, from environment to clients to store to services; each is made on first use, and only what is used."""

import secrets
from functools import cache, partial
from typing import TYPE_CHECKING

from common import clock, ids
from common.aws import client, fingerprint_key
from common.config import config
from common.dynamo import Table
from common.tasks import CLOSE_ACCOUNTS, call

from functions.auth.store import Store

if TYPE_CHECKING:
    from functions.auth.passwords import BcryptPasswords
    from functions.auth.service.addresses import Addresses
    from functions.auth.service.administration import Administration
    from functions.auth.service.api_keys import ApiKeys
    from functions.auth.service.authenticators import Authenticators
    from functions.auth.service.codes import Codes
    from functions.auth.service.credentials import Credentials
    from functions.auth.service.login import Login
    from functions.auth.service.passwords import PasswordChanges
    from functions.auth.service.profile import Profile
    from functions.auth.service.registration import Registration
    from functions.auth.service.second_factor import SecondFactor
    from functions.auth.service.sessions import Sessions
    from functions.auth.service.users import Users
    from functions.auth.tokens import AccessTokens


@cache
def registration() -> "Registration":
    """Registration and the proof of an address."""
    from functions.auth.service.registration import Registration

    return Registration(_store(), codes(), _passwords(), clock.now, ids.new_id)


@cache
def codes() -> "Codes":
    """One-time codes."""
    from functions.auth.service.codes import Codes

    return Codes(_store(), clock.now, ids.new_id, _new_code, fingerprint_key)


@cache
def login() -> "Login":
    """Login by password."""
    from functions.auth.service.login import Login

    return Login(_store(), credentials(), codes(), sessions(), clock.now)


@cache
def second_factor() -> "SecondFactor":
    """The second step of a login."""
    from functions.auth.service.second_factor import SecondFactor

    return SecondFactor(_store(), codes(), authenticators(), credentials(), sessions(), clock.now)


@cache
def credentials() -> "Credentials":
    """Passwords as they are compared."""
    from functions.auth.domain.throttle import Rules
    from functions.auth.service.credentials import Credentials

    settings = config()
    rules = Rules.of(settings.login_failures_per_email, settings.login_failures_per_address)
    return Credentials(_store(), _passwords(), rules, clock.now)


@cache
def authenticators() -> "Authenticators":
    """Authenticator apps."""
    from functions.auth.cipher import KmsCipher
    from functions.auth.service.authenticators import Authenticators

    cipher = KmsCipher(client("kms"), config().data_key)
    return Authenticators(
        _store(), credentials(), cipher, fingerprint_key, _new_totp_secret, _new_recovery_code, clock.now
    )


@cache
def password_changes() -> "PasswordChanges":
    """Another password."""
    from functions.auth.service.passwords import PasswordChanges

    return PasswordChanges(_store(), codes(), credentials(), _passwords(), clock.now)


@cache
def addresses() -> "Addresses":
    """Another email address or phone."""
    from functions.auth.service.addresses import Addresses

    return Addresses(_store(), codes(), credentials(), clock.now)


@cache
def profile() -> "Profile":
    """What users change about themselves."""
    from functions.auth.service.profile import Profile

    return Profile(_store(), credentials(), clock.now)


@cache
def sessions() -> "Sessions":
    """Sessions and who they stand for."""
    from functions.auth.service.sessions import Sessions

    return Sessions(_store(), tokens(), clock.now, ids.new_id, _new_secret)


@cache
def api_keys() -> "ApiKeys":
    """API keys and who they stand for."""
    from functions.auth.service.api_keys import ApiKeys

    return ApiKeys(_store(), clock.now, ids.new_id, _new_secret)


@cache
def administration() -> "Administration":
    """Changing and removing users."""
    from functions.auth.service.administration import Administration

    return Administration(_store(), partial(call, CLOSE_ACCOUNTS), clock.now)


@cache
def users() -> "Users":
    """Looking up users."""
    from functions.auth.service.users import Users

    return Users(_store())


@cache
def tokens() -> "AccessTokens":
    """Access tokens of this issuer."""
    from functions.auth.signer import KmsSigner
    from functions.auth.tokens import AccessTokens

    settings = config()
    signer, *others = (KmsSigner(client("kms"), key) for key in settings.token_keys)
    return AccessTokens(signer, settings.public_url, others)


@cache
def _store() -> Store:
    return Store(Table(client("dynamodb"), config().table("auth")))


def _passwords() -> "BcryptPasswords":
    from functions.auth.passwords import BcryptPasswords

    return BcryptPasswords()


def _new_code() -> str:
    return f"{secrets.randbelow(10**6):06}"


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _new_totp_secret() -> str:
    import pyotp

    return pyotp.random_base32()


def _new_recovery_code() -> str:
    # 49 random bits; no letter that is easily taken for another.
    code = "".join(secrets.choice("abcdefghjkmnpqrstvwxyz23456789") for _ in range(10))
    return f"{code[:5]}-{code[5:]}"
