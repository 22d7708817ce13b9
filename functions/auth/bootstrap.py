"""Wiring, from environment to clients to store to services; each is made on first use, and only what is used."""

import secrets
from functools import cache
from typing import TYPE_CHECKING

from common import clock, ids
from common.aws import client, fingerprint_key
from common.config import config
from common.dynamo import Table

from functions.auth.store import Store

if TYPE_CHECKING:
    from functions.auth.service.codes import Codes
    from functions.auth.service.login import Login
    from functions.auth.service.registration import Registration
    from functions.auth.service.sessions import Sessions
    from functions.auth.service.users import Users
    from functions.auth.tokens import AccessTokens


@cache
def registration() -> "Registration":
    """Registration and the proof of an address."""
    from functions.auth.passwords import BcryptPasswords
    from functions.auth.service.registration import Registration

    return Registration(_store(), codes(), BcryptPasswords(), clock.now, ids.new_id)


@cache
def codes() -> "Codes":
    """One-time codes."""
    from functions.auth.service.codes import Codes

    return Codes(_store(), clock.now, ids.new_id, _new_code, fingerprint_key)


@cache
def login() -> "Login":
    """Login by password."""
    from functions.auth.passwords import BcryptPasswords
    from functions.auth.service.login import Login

    return Login(_store(), sessions(), BcryptPasswords(), clock.now)


@cache
def sessions() -> "Sessions":
    """Sessions and who they stand for."""
    from functions.auth.service.sessions import Sessions

    return Sessions(_store(), tokens(), clock.now, ids.new_id, _new_secret)


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
    return AccessTokens(KmsSigner(client("kms"), settings.token_key), settings.public_url)


@cache
def _store() -> Store:
    return Store(Table(client("dynamodb"), config().table("auth")))


def _new_code() -> str:
    return f"{secrets.randbelow(10**6):06}"


def _new_secret() -> str:
    return secrets.token_urlsafe(32)
