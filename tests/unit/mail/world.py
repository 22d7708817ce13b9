"""The mail context over a table in memory, and queues that deliver its messages at least once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from common.contracts.auth import FindUser, FoundUser, MintCode, MintedCode
from common.contracts.events import SYSTEM, Actor, Event, EventType
from common.dynamo import Item, Table

from functions.mail.domain.mails import MailId, MailState, MergeWindow
from functions.mail.domain.texts import Mail
from functions.mail.service import Mailer
from functions.mail.store import MailStore
from tests.support.clock import FakeClock
from tests.support.memory_table import Call, MemoryTable

ADA, GRACE = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
CHALLENGE = "chl_1"
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
T = TypeVar("T")
VISIBILITY_TIMEOUT = timedelta(seconds=90)


class Crashed(Exception):
    """The process died."""


@dataclass
class Calls:
    """The calls to the table and to the adapters, by number.

    At a chosen call the process dies before or after the effect. `meanwhile` runs others before a call.
    """

    made: list[str] = field(default_factory=list)
    die_before: int | None = None
    die_after: int | None = None
    meanwhile: dict[int, Callable[[], object]] = field(default_factory=dict)
    _current: int = 0

    def before(self, name: str) -> None:
        number = len(self.made)
        self.made.append(name)
        if number in self.meanwhile:
            self.meanwhile.pop(number)()
        if number == self.die_before:
            raise Crashed(name)
        self._current = number

    def after(self, name: str) -> None:
        if self._current == self.die_after:
            raise Crashed(name)

    def make(self, name: str, effect: Callable[[], T]) -> T:
        self.before(name)
        result = effect()
        self.after(name)
        return result

    def hook(self, call: Call) -> None:
        """The hook of the table in memory."""
        if call.moment == "before":
            self.before(call.operation)
        elif call.moment == "after":
            self.after(call.operation)


class World:
    """The context with its queues and adapters. A failed message is delivered again after 90 s.

    With `table` the mails are stored there, and the methods that read what is stored do not apply.
    """

    def __init__(self, table: Table | None = None) -> None:
        self.calls = Calls()
        self.clock = FakeClock(START)
        self.table = MemoryTable("mail", hook=self.calls.hook)
        self.sent: list[tuple[datetime, str, Mail]] = []
        self.texts: list[tuple[str, str]] = []
        self.messages: list[tuple[datetime, Event | MailId]] = []
        self.users = {
            ADA: FoundUser("found", ADA, "ada@example.com", True, first_name="Ada"),
            GRACE: FoundUser("found", GRACE, "grace@example.com", True, first_name="Grace"),
        }
        self.codes = 0
        self.code_goes_to = "new@example.com"
        self.challenge_open = True
        store = MailStore(table or self.table)
        self.mailer = Mailer(store, self, FakeTexter(self), self, self.find_user, self.mint_code, self.clock)

    # --- adapters

    def send(self, address: str, mail: Mail) -> None:
        self.calls.make("send", lambda: self.sent.append((self.clock(), address, mail)))

    def schedule(self, merged: MailId, delay_seconds: int) -> None:
        due = self.clock() + timedelta(seconds=delay_seconds)
        self.calls.make("schedule", lambda: self.messages.append((due, merged)))

    def find_user(self, request: FindUser) -> FoundUser:
        assert request.user_id
        user_id = request.user_id
        return self.calls.make("find_user", lambda: self.users.get(user_id, FoundUser("not_found")))

    def mint_code(self, request: MintCode) -> MintedCode:
        def effect() -> MintedCode:
            if not self.challenge_open:
                return MintedCode("gone")
            self.codes += 1
            return MintedCode("minted", "verify_email", self.code_goes_to, "Ada", f"{self.codes:06}", 15)

        assert request.challenge_id == CHALLENGE
        return self.calls.make("mint_code", effect)

    # --- queues

    def arrive(self, *messages: Event | MailId, after: float = 0) -> None:
        """Put messages on their queues, to be delivered `after` seconds."""
        self.messages += [(self.clock() + timedelta(seconds=after), message) for message in messages]

    def deliver(self, message: Event | MailId) -> None:
        """Deliver a message. If it fails, it is delivered again."""
        try:
            self.mailer.handle(message) if isinstance(message, Event) else self.mailer.flush(message)
        except Exception:  # noqa: BLE001 (whatever it was, the queue delivers the message again)
            self.messages.append((self.clock() + VISIBILITY_TIMEOUT, message))

    def drain(self) -> None:
        """Deliver every message when it is due, until none is left. More than 200 are an endless loop."""
        for _ in range(200):
            if not self.messages:
                return
            self.messages.sort(key=lambda message: message[0])
            due, message = self.messages.pop(0)
            self.clock.at = max(self.clock.at, due)
            self.deliver(message)
        raise AssertionError("never ends")

    # --- what there is

    def subjects(self, address: str) -> list[str]:
        """Return the subjects of the mails to an address, in order."""
        return [mail.subject for _, to, mail in self.sent if to == address]

    def states(self) -> dict[MailId, MailState]:
        return {
            MailId(item["pk"][2:], item["kind"], item["user_id"], item["sk"].endswith("#previous")): MailState(
                item["status"], item.get("lease", "")
            )
            for item in self._items("M#")
        }

    def windows(self) -> dict[tuple[str, Any], MergeWindow]:
        """Return the merge windows by user and kind."""
        return {
            tuple(item["pk"].split("#")[1:]): MergeWindow(item["ends_at"], item["held"])
            for item in self._items("W#")
            if item["sk"] == "W"
        }

    def entries(self) -> list[Item]:
        """Return the entries that wait to be merged."""
        return [item for item in self._items("W#") if item["sk"] != "W"]

    def _items(self, prefix: str) -> list[Item]:
        return [item for item in self.table.items() if item["pk"].startswith(prefix)]


class FakeTexter:
    """Sends the text messages of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, phone: str, text: str) -> None:
        self._world.calls.make("text", lambda: self._world.texts.append((phone, text)))


def transfer(number: int, amount: int = 1050, payer: str = ADA, payee: str = GRACE) -> Event:
    """Return the event of completed transfer number `number`."""
    data = {
        "transfer_id": f"trf_{number}",
        "kind": "transfer",
        "status": "completed",
        "amount": amount,
        "currency": "USD",
        "description": "",
        "payer_id": payer,
        "payee_id": payee,
        "source_name": "Ada Lovelace",
        "destination_name": "Grace Hopper",
        "code": "",
    }
    return Event.new("transfer.completed", f"trf_{number}", 2, START, data)


def code_requested(times: int = 1, purpose: str = "verify_email") -> Event:
    data = {"challenge_id": CHALLENGE, "user_id": ADA, "purpose": purpose}
    return Event.new("code.requested", CHALLENGE, times, START, data)


def verified(user_id: str = ADA) -> Event:
    return Event.new("user.verified", user_id, 2, START, {"user_id": user_id, "email": "ada@example.com"})


def user(
    type: EventType, number: int = 1, *changed: str, user_id: str = ADA, actor: Actor = SYSTEM, **data: Any
) -> Event:
    """Return the event of change number `number` of a user, as many minutes after the start."""
    known = {"user_id": user_id, "role": "customer", "status": "active", "changed": list(changed)}
    return Event.new(type, user_id, number, START + timedelta(minutes=number), known | data, actor)


def login(number: int = 1, *, new_device: bool = True) -> Event:
    """Return the event of login number `number` of Ada, as many minutes after the start."""
    actor = Actor(ADA, "ses_1", "203.0.113.7", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/132.0")
    return user("user.login", number, actor=actor, new_device=new_device)


def pin_locked(number: int = 1, name: str = "Main") -> Event:
    """Return the event of the lock of an account's PIN, `number` minutes after the start."""
    data = {"account_id": "acc_1", "owner_id": ADA, "name": name, "tries": 5}
    return Event.new("pin.locked", "acc_1", number, START + timedelta(minutes=number), data)


def deleted(user_id: str = ADA) -> Event:
    return Event.new("user.deleted", user_id, 9, START, {"user_id": user_id, "status": "deleted"})
