"""The auth room's services on fakes, and what tests do with them again and again."""

from collections.abc import Callable
from typing import Any

import pytest
from common.errors import Problem
from common.tasks import MintCode

from functions.auth.domain.users import User
from functions.auth.service.codes import Codes
from functions.auth.service.login import Login
from functions.auth.service.registration import Registration
from functions.auth.service.sessions import Grant, Sessions
from functions.auth.service.users import Users
from tests.support.clock import FakeClock
from tests.unit.auth.fakes import SECRET, STRANGER, Counter, FakeStore, PlainPasswords, PlainTokens

EMAIL = "ada@example.com"
PASSWORD = "analytical engine"


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
        self.logins = Login(self.store, self.sessions, self.passwords, self.clock)
        self.users = Users(self.store)

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
        return self.logins.login(email, password, STRANGER)


def refused(code: str, run: Callable[..., Any], *arguments: Any) -> Problem:
    """Runs something that has to be refused with a problem code."""
    with pytest.raises(Problem) as raised:
        run(*arguments)
    assert raised.value.code == code
    return raised.value
