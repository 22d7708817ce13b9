"""The auth context under test: its services on the real store over a table in memory, with fake adapters."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import pytest
from common.contracts.accounts import CloseAccounts
from common.contracts.auth import MintCode
from common.contracts.events import Actor, Event
from common.contracts.task import Done
from common.dynamo import CONDITION, Cancelled, Item, Reason
from common.errors import Refusal
from common.http.text import imitates_product
from common.keys import Keyring

from functions.auth.domain.api_keys import ApiKey
from functions.auth.domain.authenticators import Authenticator
from functions.auth.domain.codes import Attempts, Challenge, LoginChallenge, Purpose
from functions.auth.domain.sessions import Device, GrantedTokens, RefreshToken, Session
from functions.auth.domain.throttle import FailureCounter, ThrottleRules
from functions.auth.domain.users import User
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
from functions.auth.store.items import item_of, record_of, user_item
from functions.auth.store.keys import session_key
from tests.support.clock import FakeClock
from tests.support.memory_table import Call, MemoryTable
from tests.unit.auth.fakes import Counter, PlainCipher, PlainHasher, PlainTokens

EMAIL = "ada@example.com"
PASSWORD = "analytical engine"
REGISTRATIONS_PER_ADDRESS = 1000
ANONYMOUS = Actor(ip="203.0.113.7", user_agent="tests")
RULES = ThrottleRules.of(50, 100)
SORT_KEYS = {
    "user": "U",
    "email": "E",
    "phone": "N",
    "session": "S#",
    "device": "D#",
    "challenge": "C",
    "attempts": "Q#",
    "code request": "R",
    "failures": "L",
    "authenticator": "F",
    "api key": "K",
}
RecordT = TypeVar("RecordT")


class Stored:
    """What the table holds, for assertions."""

    def __init__(self, table: MemoryTable) -> None:
        self._table = table

    def items(self, what: str) -> Iterator[Item]:
        """Yield all items of one kind."""
        return (item for item in self._table.items() if item["sk"].startswith(SORT_KEYS[what]))

    def _records(self, kind: type[RecordT], what: str) -> Iterator[RecordT]:
        for item in self.items(what):
            # Lists come back as tuples in records.
            values = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}
            if "ids" not in values and values.get("status") != "deleted":
                record = record_of(kind, values)
                assert record is not None
                yield record

    @property
    def users(self) -> dict[str, User]:
        return {user.id: user for user in self._records(User, "user")}

    @property
    def deleted_users(self) -> dict[str, int]:
        """The sequence of each deleted user."""
        return {item["id"]: item["sequence"] for item in self.items("user") if item["status"] == "deleted"}

    @property
    def sessions(self) -> dict[str, Session]:
        return {session.id: session for session in self._records(Session, "session")}

    @property
    def devices(self) -> list[Device]:
        return list(self._records(Device, "device"))

    @property
    def challenges(self) -> dict[str, Challenge]:
        return {challenge.id: challenge for challenge in self._records(Challenge, "challenge")}

    @property
    def attempts(self) -> dict[tuple[str, str], Attempts]:
        return {(each.user_id, each.purpose): each for each in self._records(Attempts, "attempts")}

    @property
    def failures(self) -> dict[str, FailureCounter]:
        return {counter.key: counter for counter in self._records(FailureCounter, "failures")}

    @property
    def authenticators(self) -> dict[str, Authenticator]:
        return {each.user_id: each for each in self._records(Authenticator, "authenticator")}

    @property
    def api_keys(self) -> dict[str, ApiKey]:
        return {key.id: key for key in self._records(ApiKey, "api key")}

    @property
    def events(self) -> list[Event]:
        """The events of all changes in their order, as the publisher takes them from the stream."""
        changes = ((_outbox(old), _outbox(new)) for old, new in self._table.changes)
        return [Event.of(event) for old, new in changes for event in new if event not in old]

    def event_types(self) -> list[str]:
        return [event.type for event in self.events]


def _outbox(item: Item | None) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads((item or {}).get("outbox", "[]"))
    return events


class World:
    """All services over one table."""

    def __init__(self) -> None:
        counter = Counter()
        self.table = MemoryTable(hook=self._hook)
        self.store = AuthStore(self.table)
        self.stored = Stored(self.table)
        self.clock = FakeClock()
        self.hasher = PlainHasher()
        self.tokens = PlainTokens()
        self.keys = {"1": b"a key for tests"}
        self.codes = Codes(self.store, self.clock, counter.new_id, counter.new_code, lambda: Keyring(self.keys))
        self.registration = Registration(
            self.store, self.codes, self.hasher, self.clock, counter.new_id, REGISTRATIONS_PER_ADDRESS
        )
        self.sessions = Sessions(self.store, self.tokens, self.clock, counter.new_id, counter.new_secret)
        self.credentials = Credentials(self.store, self.hasher, RULES, self.clock)
        self.logins = Login(self.store, self.credentials, self.codes, self.sessions, self.clock)
        self.authenticators = Authenticators(
            self.store,
            self.credentials,
            PlainCipher(),
            lambda: Keyring(self.keys),
            counter.new_totp_secret,
            counter.new_recovery_code,
            self.clock,
        )
        self.second_factor = SecondFactor(
            self.store, self.codes, self.authenticators, self.credentials, self.sessions, self.clock
        )
        self.passwords = Passwords(self.store, self.codes, self.credentials, self.hasher, self.clock)
        self.addresses = Addresses(self.store, self.codes, self.credentials, self.clock)
        self.profile = Profile(self.store, self.credentials, imitates_product, self.clock)
        self.reauthentication = Reauthentication(
            self.store,
            self.credentials,
            self.logins,
            self.codes,
            self.authenticators,
            self.sessions,
            self.clock,
        )
        self.users = Users(self.store)
        self.api_keys = ApiKeys(self.store, self.clock, counter.new_id, counter.new_secret)
        self.closings: list[CloseAccounts] = []
        self.has_money = False
        self.administration = Administration(self.store, self._close_accounts, self.clock)
        self._interruptions: dict[str, list[Callable[[], Any]]] = {}
        self.unused_interruptions: set[str] = set()

    def _close_accounts(self, request: CloseAccounts) -> Done:
        self.closings.append(request)
        if self.has_money:
            raise Refusal("account_not_empty")
        return Done()

    def before_write(self, what: str, *actions: Callable[[], Any]) -> None:
        """Run each of `actions` once, right before another write that touches an item of this kind."""
        self._interruptions[SORT_KEYS[what]] = list(actions)
        self.unused_interruptions.add(SORT_KEYS[what])

    def _hook(self, call: Call) -> None:
        if call.moment != "before" or call.operation not in ("put", "update", "transact"):
            return
        for sort_key, actions in self._interruptions.items():
            if actions and any(key[1].startswith(sort_key) for key in call.keys):
                self.unused_interruptions.discard(sort_key)
                actions.pop(0)()
                return

    def put_user(self, user: User) -> User:
        """Write a user as given, without an event."""
        item = user_item(user, user.event("user.updated", self.clock(), ANONYMOUS))
        self.table.put({name: value for name, value in item.items() if name != "outbox"})
        return user

    def remove(self, what: str) -> None:
        """Remove all items of a kind."""
        for item in list(self.stored.items(what)):
            self.table.delete((item["pk"], item["sk"]))

    def register(self, email: str = EMAIL, password: str = PASSWORD, phone: str | None = None) -> User:
        return self.registration.register(
            ANONYMOUS, email=email, password=password, first_name="Ada", last_name="Lovelace", phone=phone
        )

    def challenge_id(self, user: User, purpose: Purpose = "verify_email") -> str:
        return self.stored.attempts[user.id, purpose].challenge_id

    def code(self, user: User, purpose: Purpose = "verify_email") -> str:
        """Return a new code of the user's open challenge."""
        minted = self.codes.mint(MintCode(self.challenge_id(user, purpose)))
        assert (minted.outcome, minted.purpose) == ("minted", purpose)
        return minted.code

    def verify(self, code: str, email: str = EMAIL) -> None:
        self.registration.verify_email(ANONYMOUS, email, code)

    def verified(self, email: str = EMAIL, phone: str | None = None) -> User:
        """Register a user and verify their email."""
        user = self.register(email, phone=phone)
        self.verify(self.code(user), email)
        return self.stored.users[user.id]

    def confirm_app(self, user: User, code: str) -> None:
        """Confirm an app in a session that exists only for this."""
        key = session_key(user.id, "ses_app")
        generation = self.stored.users[user.id].generation
        token = RefreshToken(user.id, "ses_app", "", "")
        self.table.put(item_of(key, Session.new(token, generation, self.clock(), ANONYMOUS)))
        try:
            self.authenticators.confirm(ANONYMOUS, user.id, "ses_app", code)
        finally:
            self.table.delete(key)

    def login(self, password: str = PASSWORD, email: str = EMAIL) -> GrantedTokens:
        """Sign in a user without a second factor."""
        granted = self.logins.login(email, password, ANONYMOUS)
        assert isinstance(granted, GrantedTokens)
        return granted

    def begin(self, password: str = PASSWORD, email: str = EMAIL) -> LoginChallenge:
        """Do the first step of a login with a second factor."""
        challenge = self.logins.login(email, password, ANONYMOUS)
        assert isinstance(challenge, LoginChallenge)
        return challenge

    def finish(self, challenge: LoginChallenge, code: str) -> GrantedTokens:
        """Do the second step of a login."""
        return self.second_factor.verify(challenge.challenge_id, code, ANONYMOUS)


def refused(code: str, run: Callable[..., Any], *arguments: Any) -> Refusal:
    """Run something that must be refused with a problem code."""
    with pytest.raises(Refusal) as raised:
        run(*arguments)
    assert raised.value.code == code
    return raised.value


def repeat(times: int, code: str, run: Callable[..., Any], *arguments: Any) -> Callable[[], None]:
    """Return an action that runs something several times, each time refused with a problem code."""

    def action() -> None:
        for _ in range(times):
            refused(code, run, *arguments)

    return action


def conflict() -> NoReturn:
    """Fail a transaction as if another write had changed the second of its items."""
    raise Cancelled([Reason("None", None), Reason(CONDITION, None)])
