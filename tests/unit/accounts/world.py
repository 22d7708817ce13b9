"""The accounts context over a table in memory, wired as in bootstrap, with a fake auth context."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from common import ids
from common.clock import timestamp
from common.contracts.auth import CheckCode, FindUser, FoundUser, RequestCode
from common.contracts.events import SYSTEM, Event
from common.contracts.task import Done
from common.dynamo import Item
from common.errors import Refusal
from common.keys import Keyring

from functions.accounts.adapters.pins import BcryptPinDigests
from functions.accounts.adapters.rail import SandboxCardCheck
from functions.accounts.models.accounts import OpenAccount, opened
from functions.accounts.models.instruments import linked
from functions.accounts.service.accounts import Accounts
from functions.accounts.service.approvals import Approvals
from functions.accounts.service.instruments import Instruments
from functions.accounts.service.payees import Payees
from functions.accounts.service.pins import Pins
from functions.accounts.store.accounts import AccountStore
from functions.accounts.store.approvals import ApprovalStore
from functions.accounts.store.instruments import InstrumentStore
from functions.accounts.store.payees import PayeeStore
from functions.accounts.store.pins import PinStore
from tests.support.clock import FakeClock
from tests.support.memory_table import MemoryTable
from tests.unit.accounts.ledger.world import Crash, crash, once, published

__all__ = ["ADA", "ADMIN", "BOB", "NOBODYS_ACCOUNT", "SECRET", "Crash", "World", "crash", "once", "refused"]

SECRET = b"a key for tests"
ADA, BOB, ADMIN = (f"usr_01K0000000000000000000000{letter}" for letter in "ABZ")
NOBODYS_ACCOUNT = "acc_01K0000000000000000000000A"


class World:
    """The services of the context, and the users that the auth context knows."""

    def __init__(self) -> None:
        self.table = MemoryTable()
        self.clock = FakeClock()
        self.users: dict[str, FoundUser] = {}
        self.asked: list[FindUser] = []
        self.codes: dict[tuple[str, str], str] = {}
        self.accounts = Accounts(AccountStore(self.table), self.clock, ids.new_id, opened)
        self.keys = {"1": SECRET}
        self.instruments = Instruments(
            InstrumentStore(self.table),
            self.clock,
            ids.new_id,
            lambda kind, number: Keyring(self.keys).digests(f"{kind}\n{number}"),
            SandboxCardCheck(),
            linked,
        )
        # test_pin_digests.py checks the real cost, which is too slow for every test.
        digests = BcryptPinDigests(lambda: Keyring(self.keys), cost=4)
        self.pins = Pins(PinStore(self.table), self.clock, digests, self.request_code, self.check_code)
        self.payees = Payees(PayeeStore(self.table), self.find_user, self.clock)
        self.approvals = Approvals(ApprovalStore(self.table), self.payees.fetch, self.pins.check)

    def find_user(self, request: FindUser) -> FoundUser:
        """The task of the auth context."""
        self.asked.append(request)
        for user in self.users.values():
            by_email = request.email is not None and user.email_verified and user.email == request.email
            by_phone = request.phone is not None and user.phone_verified and user.phone == request.phone
            if user.user_id == request.user_id or by_email or by_phone:
                return user
        return FoundUser("not_found")

    def request_code(self, request: RequestCode) -> Done:
        """The task of the auth context: one open code per subject."""
        if (request.user_id, request.subject) in self.codes:
            raise Refusal("rate_limited", retry_after=42)
        self.codes[request.user_id, request.subject] = "424242"
        return Done()

    def check_code(self, request: CheckCode) -> Done:
        """The task of the auth context: a correct code is used up."""
        challenge = (request.user_id, request.subject)
        if self.codes.get(challenge) != request.code:
            raise Refusal("invalid_code")
        del self.codes[challenge]
        return Done()

    def register(self, email: str, *, handled: bool = True, **changes: Any) -> str:
        """Register a user with the auth context. `handled`: the accounts context has handled the event."""
        self.clock.advance(milliseconds=1)
        user_id = ids.new_id("usr", self.clock())
        first, last = email.partition("@")[0].split(".")
        user = FoundUser("found", user_id, email, True, None, False, first.title(), last.title(), "active", 1)
        self.users[user_id] = replace(user, **changes)
        if handled:
            self.payees.handle(self.event(user_id))
        return user_id

    def change(self, user_id: str, *, handled: bool = True, **changes: Any) -> Event:
        """Change a user of the auth context, and return the event."""
        self.clock.advance(milliseconds=1)
        user = self.users[user_id]
        self.users[user_id] = replace(user, sequence=user.sequence + 1, **changes)
        event = self.event(user_id)
        if handled:
            self.payees.handle(event)
        return event

    def event(self, user_id: str) -> Event:
        """The event of a user as they are now."""
        user = self.users[user_id]
        names = ("user_id", "email", "email_verified", "phone", "phone_verified", "first_name", "last_name", "status")
        data = {name: getattr(user, name) for name in names}
        return Event.new("user.updated", user_id, user.sequence, self.clock(), data)

    def open(self, owner_id: str, currency: str = "USD", **fields: Any) -> str:
        """Open an account, and return its id."""
        self.clock.advance(milliseconds=1)
        wanted = OpenAccount(currency=currency, **fields).command()
        answer = self.accounts.open(owner_id, wanted, None, SYSTEM, is_admin=False).answer
        assert answer.location is not None
        return answer.location.rpartition("/")[2]

    def head(self, account_id: str) -> Item:
        """The item of an account."""
        head = self.item(f"A#{account_id}", "H")
        assert head is not None
        return head

    def put_head(self, account_id: str, **changes: Any) -> None:
        """Change the item of an account, past every rule."""
        self.table.put({**self.head(account_id), **changes})

    def set_status(self, account_id: str, status: str) -> None:
        """Freeze or close an account, past every rule."""
        self.put_head(account_id, status=status)

    def events(self) -> list[dict[str, Any]]:
        """The events that were published so far, oldest first."""
        return list(published(self.table.changes))

    def item(self, pk: str, sk: str) -> Item | None:
        """An item of the table, past its hook."""
        return next((item for item in self.table.items() if (item["pk"], item["sk"]) == (pk, sk)), None)

    def now(self) -> str:
        """The current time as text."""
        return timestamp(self.clock())


def refused(code: str, act: Callable[[], object], world: World | None = None) -> None:
    """Require that `act` raises the Refusal `code`, and writes nothing to the table of `world`."""
    before = world.table.items() if world else None
    with pytest.raises(Refusal) as refusal:
        act()
    assert refusal.value.code == code
    assert before is None or (world and world.table.items() == before)
