"""The deployment under test: its people, its faults, its tables, and how to wait until it is at rest."""

import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localstack import inbox
from localstack.admin import grant
from localstack.http import send
from localstack.settings import STACK, Run
from localstack.tables import Item, Tables, table
from localstack.verify import verify
from tests.e2e.client import PASSWORD, Client, Person, until

ROOMS = ("auth", "accounts", "transfers", "notifications", "mail")
NAMES = ("Ada Lovelace", "Bob Babbage", "Cleo Curie", "Dan Dijkstra", "Eve Euler", "Fay Franklin", "Gus Gauss")
CODE = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")


@dataclass
class World:
    """One deployment, and everything the tests know of it that a client would not."""

    run: Run
    people: list[Person] = field(default_factory=list)

    @property
    def client(self) -> Client:
        """Somebody who is not signed in."""
        return Client(self.run.api_url)

    # --- people

    def register(self, *, phone: str | None = None) -> Person:
        """Somebody new, whose address is not verified yet."""
        first, last = NAMES[len(self.people) % len(NAMES)].split()
        person = Person(self.run.api_url, email=f"{secrets.token_hex(6)}@example.com", first_name=first, last_name=last)
        self.people.append(person)
        body = {"email": person.email, "password": PASSWORD, "first_name": first, "last_name": last}
        person.user_id = person.post("/auth/register", body | ({"phone": phone} if phone else {}), status=201)["id"]
        return person

    def person(self, *, funds: int = 0, currency: str = "USD") -> Person:
        """Somebody new, verified and signed in, with an account and, where asked for, money in it."""
        person = self.register()
        code = self.code(person)
        person.post("/auth/verify-email", {"email": person.email, "code": code}, status=204)
        person.login()
        person.open_account(currency)
        if funds:
            person.deposit(funds, account=person.accounts[currency])
        return person

    def admin(self) -> Person:
        """Somebody new who is an admin."""
        return self._of("admin")

    def arbiter(self) -> Person:
        """Somebody new who is an arbiter."""
        return self._of("arbiter")

    def _of(self, role: str) -> Person:
        person = self.person()
        assert grant(self.run, person.email, role)["outcome"] == "granted"
        person.login()
        return person

    def crowd(self, count: int, **wanted: Any) -> list[Person]:
        """Several new people at once."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.person(**wanted), range(count)))

    def mails(self, person: Person) -> list[dict[str, Any]]:
        """What was mailed to somebody, oldest first."""
        return [mail for mail in inbox.messages(self.run) if mail["to"] == person.email]

    def code(self, person: Person, *, seconds: float = 15) -> str:
        """The newest code that was mailed to somebody."""

        def newest() -> str | None:
            codes = [found[0] for mail in self.mails(person) if (found := CODE.search(mail["text"]))]
            return codes[-1] if codes else None

        code: str = until(newest, seconds=seconds, what=f"a code is mailed to {person.email}")
        return code

    def codes(self, address: str) -> list[str]:
        """Every code that was sent to an email address or phone, oldest first."""
        sent = [message["text"] for message in inbox.messages(self.run) if message["to"] == address]
        return [found[0] for text in sent if (found := CODE.search(text))]

    def next_code(self, address: str, known: int) -> str:
        """The code that comes to an address after the first `known`."""
        codes: list[str] = until(
            lambda: found if len(found := self.codes(address)) > known else None, what=f"a code is sent to {address}"
        )
        return codes[-1]

    # --- tables

    def tables(self) -> Tables:
        """The four tables that tell of money and of who was told."""
        return Tables.read(self.run)

    def scan(self, room: str) -> list[Item]:
        """Every item of a room's table."""
        return list(table(self.run, room).scan())

    def record(self, transfer_id: str) -> Item:
        """A transfer's record."""
        item = table(self.run, "transfers").get((f"T#{transfer_id}", "R"))
        assert item is not None
        return item

    def digests(self, *, without: tuple[str, ...] = ()) -> dict[str, str]:
        """What every item of every table is now, but for those whose partition key begins with one of `without`."""
        return {
            f"{room} {item['pk']} {item['sk']}": hashlib.sha256(
                json.dumps(item, sort_keys=True, default=repr).encode()
            ).hexdigest()
            for room in ROOMS
            for item in self.scan(room)
            if not item["pk"].startswith(without or "\0")
        }

    # --- rest

    def queues(self) -> dict[str, int]:
        """How many messages each queue has, waiting or in flight; those that are delayed by design are left out."""
        sqs = self.run.client("sqs")
        depth = {}
        for url in sqs.list_queues()["QueueUrls"]:
            wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
            depth[url.rsplit("/", 1)[1]] = sum(map(int, found.values()))
        return depth

    def settle(self, *, seconds: float = 120) -> None:
        """Waits until nothing moves any more: queues are empty, hot accounts are folded, tables stand still.

        A message whose consumer was killed is hidden for 90 seconds.
        """

        def at_rest() -> bool:
            if any(count for name, count in self.queues().items() if not name.endswith("mail-flush")):
                return False
            before = self.digests()
            folded = not any(item["pk"].startswith("I#") for item in self.scan("accounts"))
            return folded and before == self.digests()

        until(at_rest, seconds=seconds, what="the platform is at rest")

    def verify(self, *, drained: bool = False) -> None:
        """Everything that must hold of the books does; that people were told only where the queues are `drained`."""
        broken = [
            f"{finding.number} {finding.title}: {violation.id} {violation.what}"
            for finding in verify(self.run, drained=drained)
            if drained or finding.number != 6
            for violation in finding.violations
        ]
        assert not broken, "\n".join(broken)

    # --- faults and calls

    def control(self, method: str, what: str, body: Any = None) -> Any:
        """A request to the launcher itself."""
        answer = send(method, f"{self.run.aws_url}/_remit/{what}", body=body)
        assert answer.status < 400, answer.content
        return answer.json if answer.content else None

    @contextmanager
    def fault(self, *rules: Mapping[str, Any]) -> Iterator[None]:
        """Fault rules for a while. Whatever is in force before ends, too."""
        self.control("DELETE", "faults")
        self.control("POST", "faults", list(rules))
        try:
            yield
        finally:
            self.control("DELETE", "faults")

    def schedule(self, *, on: bool) -> None:
        """Whether recovery runs by itself every minute."""
        events = self.run.client("events")
        for rule in events.list_rules()["Rules"]:
            (events.enable_rule if on else events.disable_rule)(Name=rule["Name"])

    def fired(self) -> int:
        """How often the rules in force have struck."""
        return sum(rule["fired"] for rule in self.control("GET", "faults"))

    def calls(self, since: int = 0) -> list[Any]:
        """The AWS calls that functions made."""
        calls: list[Any] = self.control("GET", f"calls?since={since}")
        return calls

    def invoke(self, function: str, event: Any = None) -> Any:
        """Runs a function by name, as AWS would; its answer, or None where it failed."""
        reply = self.run.client("lambda").invoke(
            FunctionName=f"{STACK}-{function}", Payload=json.dumps(event or {}).encode()
        )
        payload = reply["Payload"].read()
        return None if "FunctionError" in reply else json.loads(payload or b"null")
