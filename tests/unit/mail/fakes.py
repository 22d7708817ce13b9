"""The mail room's ports in memory, and a world that delivers its messages: at least once, and crashes where told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from common.events import Event, Type
from common.tasks import FindUser, FoundUser, MintCode, MintedCode

from functions.mail.domain import Entry, MailId, Marker, Notice, Status, Window
from functions.mail.service import Service, Store
from functions.mail.templates import Letter
from tests.support.clock import FakeClock

ADA, GRACE = "usr_01K0000000000000000000000A", "usr_01K0000000000000000000000B"
CHALLENGE = "chl_1"
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
T = TypeVar("T")
VISIBILITY = timedelta(seconds=90)


class Crashed(Exception):
    """The function died here."""


@dataclass
class Line:
    """Counts the calls to all ports; at the chosen one it dies before or after the effect, or lets others go first."""

    calls: list[str] = field(default_factory=list)
    die_before: int | None = None
    die_after: int | None = None
    meanwhile: dict[int, Callable[[], None]] = field(default_factory=dict)

    def call(self, name: str, effect: Callable[[], T]) -> T:
        number = len(self.calls)
        self.calls.append(name)
        if number in self.meanwhile:
            self.meanwhile.pop(number)()
        if number == self.die_before:
            raise Crashed(name)
        result = effect()
        if number == self.die_after:
            raise Crashed(name)
        return result


class FakeStore:
    """Markers, windows and held entries as DynamoDB would keep them."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.markers: dict[MailId, Marker] = {}
        self.subjects: dict[MailId, str] = {}
        self.windows: dict[tuple[str, str], Window] = {}
        self.entries: dict[tuple[str, str, str], dict[str, Entry]] = {}

    def look(self, mail: MailId) -> tuple[Marker | None, Window | None]:
        return self._line.call("look", lambda: (self.markers.get(mail), self.windows.get((mail.user_id, mail.kind))))

    def claim(self, mail: MailId, lease: str, *, seen: Window | None, opens: Window | None) -> bool:
        def effect() -> bool:
            minute = mail.user_id, mail.kind
            if mail in self.markers or (opens and self.windows.get(minute) != seen):
                return False
            self.markers[mail] = Marker("sending", lease)
            if opens:
                self.windows[minute] = opens
            return True

        return self._line.call("claim", effect)

    def claim_again(self, mail: MailId, lapsed: str, lease: str) -> bool:
        def effect() -> bool:
            if self.markers[mail] != Marker("sending", lapsed):
                return False
            self.markers[mail] = Marker("sending", lease)
            return True

        return self._line.call("claim_again", effect)

    def hold(self, notice: Notice, window: Window) -> bool:
        def effect() -> bool:
            mail = notice.mail
            minute = mail.user_id, mail.kind
            now = self.windows.get(minute)
            if mail in self.markers or now is None or now.ends_at != window.ends_at:
                return False
            self.markers[mail] = Marker("merged")
            self.windows[minute] = replace(now, held=True)
            self.entries.setdefault((*minute, window.ends_at), {})[mail.cause] = notice.entry
            return True

        return self._line.call("hold", effect)

    def close(self, mail: MailId, window: Window) -> bool:
        def effect() -> bool:
            if self.windows.get((mail.user_id, mail.kind)) != window:
                return False
            del self.windows[mail.user_id, mail.kind]
            return True

        return self._line.call("close", effect)

    def settle(self, mail: MailId, lease: str, status: Status, subject: str, at: str) -> None:
        def effect() -> None:
            if self.markers[mail] == Marker("sending", lease):
                self.markers[mail] = Marker(status)
                self.subjects[mail] = subject

        self._line.call("settle", effect)

    def held(self, merged: MailId) -> Sequence[Entry]:
        key = merged.user_id, merged.kind, merged.cause
        return self._line.call("held", lambda: list(self.entries.get(key, {}).values()))

    def forget(self, merged: MailId) -> None:
        self._line.call("forget", lambda: self.entries.pop((merged.user_id, merged.kind, merged.cause), None))

    def forget_person(self, user_id: str) -> None:
        def effect() -> None:
            self.windows = {minute: window for minute, window in self.windows.items() if minute[0] != user_id}
            self.entries = {key: held for key, held in self.entries.items() if key[0] != user_id}

        self._line.call("forget_person", effect)


class World:
    """The room with its queues: messages come at least once, when they are due, again 90 s after a failure."""

    def __init__(self) -> None:
        self.line = Line()
        self.clock = FakeClock(START)
        self.store = FakeStore(self.line)
        self.outbox: list[tuple[datetime, str, Letter]] = []
        self.texts: list[tuple[str, str]] = []
        self.messages: list[tuple[datetime, Event | MailId]] = []
        self.people = {
            ADA: FoundUser("found", ADA, "ada@example.com", True, first_name="Ada"),
            GRACE: FoundUser("found", GRACE, "grace@example.com", True, first_name="Grace"),
        }
        self.codes = 0
        self.code_goes_to = "new@example.com"
        self.challenge_open = True
        self.service = self.serve(self.store)

    def serve(self, store: Store) -> Service:
        """The room's use cases over a store, and this world for all else."""
        return Service(store, self, Phones(self), self, self.find_user, self.mint_code, self.clock)

    # --- ports

    def send(self, address: str, letter: Letter) -> None:
        self.line.call("send", lambda: self.outbox.append((self.clock(), address, letter)))

    def ask(self, merged: MailId, delay: int) -> None:
        due = self.clock() + timedelta(seconds=delay)
        self.line.call("ask", lambda: self.messages.append((due, merged)))

    def find_user(self, request: FindUser) -> FoundUser:
        assert request.user_id
        user_id = request.user_id
        return self.line.call("find_user", lambda: self.people.get(user_id, FoundUser("not_found")))

    def mint_code(self, request: MintCode) -> MintedCode:
        def effect() -> MintedCode:
            if not self.challenge_open:
                return MintedCode("gone")
            self.codes += 1
            return MintedCode("minted", "verify_email", self.code_goes_to, "Ada", f"{self.codes:06}", 15)

        assert request.challenge_id == CHALLENGE
        return self.line.call("mint_code", effect)

    # --- the world

    def arrive(self, *messages: Event | MailId, after: float = 0) -> None:
        """Puts messages on their queues, to be delivered `after` seconds."""
        self.messages += [(self.clock() + timedelta(seconds=after), message) for message in messages]

    def deliver(self, message: Event | MailId) -> None:
        """Hands one message over; one that fails comes again."""
        try:
            self.service.hear(message) if isinstance(message, Event) else self.service.flush(message)
        except Exception:  # noqa: BLE001 (whatever it was, the queue brings the message again)
            self.messages.append((self.clock() + VISIBILITY, message))

    def drain(self) -> None:
        """Delivers every message when it is due, until none is left. More than 200 are an endless loop."""
        for _ in range(200):
            if not self.messages:
                return
            self.messages.sort(key=lambda message: message[0])
            due, message = self.messages.pop(0)
            self.clock.at = max(self.clock.at, due)
            self.deliver(message)
        raise AssertionError("never ends")

    def mails(self, address: str) -> list[str]:
        """The subjects of what an address got, in order."""
        return [letter.subject for _, to, letter in self.outbox if to == address]


class Phones:
    """Sends text messages: a port of the world's."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, phone: str, text: str) -> None:
        self._world.line.call("text", lambda: self._world.texts.append((phone, text)))


def transfer(number: int, amount: int = 1050, payer: str = ADA, payee: str = GRACE) -> Event:
    """A completed transfer, number `number`."""
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


def user(type: Type, number: int = 1, *changed: str, user_id: str = ADA, **data: Any) -> Event:
    """What became of a user as change number `number`, as many minutes after the start."""
    known = {"user_id": user_id, "role": "customer", "status": "active", "changed": list(changed)}
    return Event.new(type, user_id, number, START + timedelta(minutes=number), known | data)


def pin_locked(number: int = 1, name: str = "Main") -> Event:
    """The lock of an account's PIN, as many minutes after the start."""
    data = {"account_id": "acc_1", "owner_id": ADA, "name": name, "tries": 5}
    return Event.new("pin.locked", "acc_1", number, START + timedelta(minutes=number), data)


def deleted(user_id: str = ADA) -> Event:
    return Event.new("user.deleted", user_id, 9, START, {"user_id": user_id, "status": "deleted"})
