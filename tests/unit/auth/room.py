"""The auth room's services on fakes, and what tests do with them again and again."""

from collections.abc import Callable
from typing import Any

import pytest
from common.errors import Problem
from common.tasks import CloseAccounts, ClosedAccounts, MintCode

from functions.auth.domain.codes import Purpose
from functions.auth.domain.throttle import Rules
from functions.auth.domain.users import User
from functions.auth.service.addresses import Addresses
from functions.auth.service.administration import Administration
from functions.auth.service.api_keys import ApiKeys
from functions.auth.service.authenticators import Authenticators
from functions.auth.service.codes import Codes
from functions.auth.service.credentials import Credentials
from functions.auth.service.login import Challenged, Login
from functions.auth.service.passwords import PasswordChanges
from functions.auth.service.profile import Profile
from functions.auth.service.registration import Registration
from functions.auth.service.second_factor import SecondFactor
from functions.auth.service.sessions import Grant, Sessions
from functions.auth.service.users import Users
from tests.support.clock import FakeClock
from tests.unit.auth.fakes import SECRET, STRANGER, Counter, FakeStore, PlainCipher, PlainPasswords, PlainTokens

EMAIL = "ada@example.com"
PASSWORD = "analytical engine"
RULES = Rules.of(50, 100)


class Room:
    """All services over one store."""

    def __init__(self) -> None:
        counter = Counter()
        self.store = FakeStore()
        self.clock = FakeClock()
        self.passwords = PlainPasswords()
        self.tokens = PlainTokens()
        self.codes = Codes(self.store, self.clock, counter.new_id, counter.new_code, lambda: SECRET)
        self.registration = Registration(self.store, self.codes, self.passwords, self.clock, counter.new_id)
        self.sessions = Sessions(self.store, self.tokens, self.clock, counter.new_id, counter.new_secret)
        self.credentials = Credentials(self.store, self.passwords, RULES, self.clock)
        self.logins = Login(self.store, self.credentials, self.codes, self.sessions, self.clock)
        self.authenticators = Authenticators(
            self.store,
            self.credentials,
            PlainCipher(),
            lambda: SECRET,
            counter.new_totp_secret,
            counter.new_recovery_code,
            self.clock,
        )
        self.second_factor = SecondFactor(
            self.store, self.codes, self.authenticators, self.credentials, self.sessions, self.clock
        )
        self.password_changes = PasswordChanges(self.store, self.codes, self.credentials, self.passwords, self.clock)
        self.addresses = Addresses(self.store, self.codes, self.credentials, self.clock)
        self.profile = Profile(self.store, self.credentials, self.clock)
        self.users = Users(self.store)
        self.api_keys = ApiKeys(self.store, self.clock, counter.new_id, counter.new_secret)
        self.closings: list[CloseAccounts] = []
        self.has_money = False
        self.administration = Administration(self.store, self._close_accounts, self.clock)

    def _close_accounts(self, request: CloseAccounts) -> ClosedAccounts:
        self.closings.append(request)
        return ClosedAccounts("not_empty" if self.has_money else "closed")

    def register(self, email: str = EMAIL, password: str = PASSWORD, phone: str | None = None) -> User:
        return self.registration.register(
            STRANGER, email=email, password=password, first_name="Ada", last_name="Lovelace", phone=phone
        )

    def challenge_id(self, user: User) -> str:
        return self.store.open_attempts[user.id, "verify_email"].challenge_id

    def mint(self, user: User) -> str:
        minted = self.codes.mint(MintCode(self.challenge_id(user)))
        assert minted.outcome == "minted"
        return minted.code

    def verify(self, code: str, email: str = EMAIL) -> None:
        self.registration.verify_email(STRANGER, email, code)

    def login(self, password: str = PASSWORD, email: str = EMAIL) -> Grant:
        """Signs in somebody without a second factor."""
        grant = self.logins.login(email, password, STRANGER)
        assert isinstance(grant, Grant)
        return grant

    def begin(self, password: str = PASSWORD, email: str = EMAIL) -> Challenged:
        """The first step of somebody with a second factor."""
        challenged = self.logins.login(email, password, STRANGER)
        assert isinstance(challenged, Challenged)
        return challenged

    def finish(self, challenged: Challenged, code: str) -> Grant:
        """The second step."""
        return self.second_factor.verify(challenged.challenge_id, code, STRANGER)

    def verified(self, email: str = EMAIL, phone: str | None = None) -> User:
        """Somebody whose address is verified."""
        user = self.register(email, phone=phone)
        self.verify(self.mint(user), email)
        return self.store.users[user.id]

    def code(self, user: User, purpose: Purpose) -> str:
        """The code of the user's open challenge of a purpose, as its message is written."""
        minted = self.codes.mint(MintCode(self.store.open_attempts[user.id, purpose].challenge_id))
        assert (minted.outcome, minted.purpose) == ("minted", purpose)
        return minted.code


def refused(code: str, run: Callable[..., Any], *arguments: Any) -> Problem:
    """Runs something that has to be refused with a problem code."""
    with pytest.raises(Problem) as raised:
        run(*arguments)
    assert raised.value.code == code
    return raised.value
