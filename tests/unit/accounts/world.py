"""The accounts room over an in-memory table: what its services need, wired as bootstrap does it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from common import ids
from common.clock import timestamp
from common.events import SYSTEM, Event
from common.idempotency import digest
from common.tasks import CheckCode, CheckedCode, FindUser, FoundUser, RequestCode, RequestedCode

from functions.accounts.models.accounts import OpenAccount
from functions.accounts.pin_digests import PinDigests
from functions.accounts.service.accounts import Accounts
from functions.accounts.service.authorization import Authorizer
from functions.accounts.service.instruments import Instruments
from functions.accounts.service.payees import Directory
from functions.accounts.service.pins import Pins
from functions.accounts.store.accounts import AccountTable
from functions.accounts.store.authorization import FactTable
from functions.accounts.store.instruments import InstrumentTable
from functions.accounts.store.payees import PayeeTable
from functions.accounts.store.pins import PinTable
from tests.support.clock import FakeClock
from tests.support.memory_table import Call, MemoryTable
from tests.unit.accounts.ledger.bench import published

SECRET = b"a key for tests"


class World:
    """The room, its table, and the users that the auth room would know of."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.clock = FakeClock()
        self.users: dict[str, FoundUser] = {}
        self.asked: list[FindUser] = []
        self.codes: dict[tuple[str, str], str] = {}
        self.accounts = Accounts(AccountTable(self.table), self.clock, ids.new_id)
        self.instruments = Instruments(
            InstrumentTable(self.table), self.clock, ids.new_id, lambda purpose, value: digest(SECRET, purpose, value)
        )
        # Cheap to compare: what a PIN costs to guess is tests/unit/accounts/test_pin_digests.py's business.
        digests = PinDigests(lambda: SECRET, cost=4)
        self.pins = Pins(PinTable(self.table), self.clock, digests, self.request_code, self.check_code)
        self.directory = Directory(PayeeTable(self.table), self.find_user, self.clock)
        self.authorizer = Authorizer(FactTable(self.table), self.directory.learn, self.pins.check)

    def find_user(self, ask: FindUser) -> FoundUser:
        """The auth room's answer."""
        self.asked.append(ask)
        for user in self.users.values():
            by_email = ask.email is not None and user.email_verified and user.email == ask.email
            by_phone = ask.phone is not None and user.phone_verified and user.phone == ask.phone
            if user.user_id == ask.user_id or by_email or by_phone:
                return user
        return FoundUser("not_found")

    def request_code(self, ask: RequestCode) -> RequestedCode:
        """The auth room's answer: one code at a time."""
        if (ask.user_id, ask.subject) in self.codes:
            return RequestedCode("rate_limited", 42)
        self.codes[ask.user_id, ask.subject] = "424242"
        return RequestedCode("requested")

    def check_code(self, ask: CheckCode) -> CheckedCode:
        """The auth room's answer; a right code is used up."""
        asked = (ask.user_id, ask.subject)
        if self.codes.get(asked) != ask.code:
            return CheckedCode("invalid_code")
        del self.codes[asked]
        return CheckedCode("right")

    def register(self, email: str, *, heard: bool = True, **changes: Any) -> str:
        """A user of the auth room; `heard` says that the directory has their event."""
        self.clock.advance(milliseconds=1)
        user_id = ids.new_id("usr", self.clock())
        first, last = email.partition("@")[0].split(".")
        user = FoundUser("found", user_id, email, True, None, False, first.title(), last.title(), "active", 1)
        self.users[user_id] = replace(user, **changes)
        if heard:
            self.directory.hear(self.event(user_id))
        return user_id

    def change(self, user_id: str, *, heard: bool = True, **changes: Any) -> Event:
        """Changes a user in the auth room and answers the event of it."""
        self.clock.advance(milliseconds=1)
        user = self.users[user_id]
        self.users[user_id] = replace(user, sequence=user.sequence + 1, **changes)
        event = self.event(user_id)
        if heard:
            self.directory.hear(event)
        return event

    def event(self, user_id: str) -> Event:
        """What the auth room tells of a user as they are now."""
        user = self.users[user_id]
        names = ("user_id", "email", "email_verified", "phone", "phone_verified", "first_name", "last_name", "status")
        data = {name: getattr(user, name) for name in names}
        return Event.new("user.updated", user_id, user.sequence, self.clock(), data)

    def open(self, owner_id: str, currency: str = "USD", **fields: Any) -> str:
        """The id of a fresh account."""
        self.clock.advance(milliseconds=1)
        opened = self.accounts.open(owner_id, OpenAccount(currency=currency, **fields), None, SYSTEM)
        location = opened.answer.location
        assert location is not None
        return location.rpartition("/")[2]

    def head(self, account_id: str) -> dict[str, Any]:
        """An account's head as it stands."""
        head = self.item(f"A#{account_id}", "H")
        assert head is not None
        return head

    def put_head(self, account_id: str, **changes: Any) -> None:
        """Changes an account's head past every rule."""
        self.table.put({**self.head(account_id), **changes})

    def events(self) -> list[dict[str, Any]]:
        """What the table's stream has brought so far, as the publisher sends it on, oldest first."""
        return list(published(self.table.changes))

    def set_status(self, account_id: str, status: str) -> None:
        """Freezes or closes an account."""
        self.put_head(account_id, status=status)

    def item(self, pk: str, sk: str) -> dict[str, Any] | None:
        """An item as it stands."""
        return next((item for item in self.table.items() if (item["pk"], item["sk"]) == (pk, sk)), None)

    def now(self) -> str:
        """The present moment as text."""
        return timestamp(self.clock())


def once(table: MemoryTable, moment: str, operation: str, act: Callable[[], object]) -> None:
    """Has `act` happen once, before or after the next `operation` on the table."""

    def hook(call: Call) -> None:
        if (call.moment, call.operation) == (moment, operation):
            table.hook = None
            act()

    table.hook = hook


class Lost(Exception):
    """A call's reply was lost."""


def lose() -> None:
    """Loses a reply."""
    raise Lost
