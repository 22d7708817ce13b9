"""The deployed platform under test: its users, tables, faults and calls, and how to wait until it is idle."""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from emulator.settings import STACK, Run
from tests.e2e.client import PASSWORD, Client, Person, until
from tools import mails
from tools.admin import grant
from tools.http import send
from tools.tables import Item, Tables, table
from tools.verify import verify

CONTEXTS = ("auth", "accounts", "transfers", "notifications", "mail")
NAMES = ("Ada Lovelace", "Bob Babbage", "Cleo Curie", "Dan Dijkstra", "Eve Euler", "Fay Franklin", "Gus Gauss")
CODE = re.compile(r"(?<![0-9])[0-9]{6}(?![0-9])")
UNRECORDED = "trf_00TESTS"
"""How the ids of transfers begin that tests post by calling the ledger's tasks. They have no record."""
# The emulator delivers a failed batch of a stream again after 1 s.
_IDLE_SECONDS = 1.1


@dataclass
class Platform:
    """One deployment, and what tests know of it that clients do not."""

    run: Run
    people: list[Person] = field(default_factory=list)

    @property
    def client(self) -> Client:
        """A client without a token."""
        return Client(self.run.api_url)

    # --- users

    def register(self, *, phone: str | None = None) -> Person:
        """Register a user. Their email address is not verified yet."""
        first, last = NAMES[len(self.people) % len(NAMES)].split()
        person = Person(self.run.api_url, email=f"{secrets.token_hex(6)}@example.com", first_name=first, last_name=last)
        self.people.append(person)
        body = {"email": person.email, "password": PASSWORD, "first_name": first, "last_name": last}
        person.user_id = person.post("/auth/register", body | ({"phone": phone} if phone else {}), status=201)["id"]
        return person

    def person(self, *, funds: int = 0, currency: str = "USD") -> Person:
        """Register a user, verify and sign them in, open an account, and deposit `funds`."""
        person = self.register()
        code = self.code(person)
        person.post("/auth/verify-email", {"email": person.email, "code": code}, status=204)
        person.login()
        person.open_account(currency)
        if funds:
            person.deposit(funds, account=person.accounts[currency])
        return person

    def admin(self, *, second_factor: bool = True) -> Person:
        """Return a new admin."""
        return self._with_role("admin", second_factor=second_factor)

    def arbiter(self) -> Person:
        """Return a new arbiter."""
        return self._with_role("arbiter")

    def _with_role(self, role: str, *, second_factor: bool = True) -> Person:
        person = self.person()
        if second_factor:
            person.add_app()
        assert grant(self.run, person.email, role)["outcome"] == "granted"
        person.login()
        return person

    def token(self, person: Person, **claims: Any) -> str:
        """Return the access token of a user with other claims, signed with the platform's own key."""
        assert person.token is not None
        header, payload, _ = person.token.split(".")
        return self.signed(decoded(header), decoded(payload) | claims)

    def signed(self, header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
        """Return a token that is signed with the platform's own key."""
        kms = self.run.client("kms")
        keys = [key["KeyId"] for key in kms.list_keys()["Keys"]]
        (key,) = [each for each in keys if kms.describe_key(KeyId=each)["KeyMetadata"]["KeyUsage"] == "SIGN_VERIFY"]
        text = f"{coded(header)}.{coded(payload)}"
        signature = kms.sign(KeyId=key, Message=text.encode(), MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")[
            "Signature"
        ]
        raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
        return f"{text}.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"

    def with_old_login(self, person: Person) -> Client:
        """Return a client in the session of a user whose last login was 6 minutes ago."""
        return Client(person.url, self.token(person, auth_time=int(time.time()) - 360))

    def crowd(self, count: int, **options: Any) -> list[Person]:
        """Return several new users, created concurrently with the `options` of `person`."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.person(**options), range(count)))

    def mails(self, person: Person) -> list[dict[str, Any]]:
        """Return the mails to a user, oldest first."""
        return [mail for mail in mails.messages(self.run) if mail["to"] == person.email]

    def code(self, person: Person, *, seconds: float = 15) -> str:
        """Wait for a code that is mailed to a user, and return the newest."""
        return self._newest_code(person.email, 0, seconds)

    def codes(self, address: str) -> list[str]:
        """Return every code that was sent to an email address or phone, oldest first."""
        texts = [message["text"] for message in mails.messages(self.run) if message["to"] == address]
        return [found[0] for text in texts if (found := CODE.search(text))]

    def next_code(self, address: str, known: int) -> str:
        """Wait until more than `known` codes were sent to an email address or phone, and return the newest."""
        return self._newest_code(address, known, 15)

    def _newest_code(self, address: str, known: int, seconds: float) -> str:
        codes: list[str] = until(
            lambda: found if len(found := self.codes(address)) > known else None,
            seconds=seconds,
            what=f"a code is sent to {address}",
        )
        return codes[-1]

    # --- tables

    def tables(self) -> Tables:
        """Return the items of the tables about money and notifications."""
        return Tables.read(self.run)

    def scan(self, context: str) -> list[Item]:
        """Return every item of a context's table."""
        return list(table(self.run, context).scan())

    def record(self, transfer_id: str) -> Item:
        """Return the record of a transfer."""
        item = table(self.run, "transfers").get((f"T#{transfer_id}", "R"))
        assert item is not None
        return item

    def digests(self, *, without: tuple[str, ...] = ()) -> dict[str, str]:
        """Return a digest of each item of each table, except items whose partition key begins with one of `without`."""
        return {
            f"{context} {item['pk']} {item['sk']}": hashlib.sha256(
                json.dumps(item, sort_keys=True, default=repr).encode()
            ).hexdigest()
            for context in CONTEXTS
            for item in self.scan(context)
            if not item["pk"].startswith(without or "\0")
        }

    # --- waiting

    def queues(self) -> dict[str, int]:
        """Return how many messages each queue has, waiting or in flight but not delayed on purpose."""
        sqs = self.run.client("sqs")
        depth = {}
        for url in sqs.list_queues()["QueueUrls"]:
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            depth[url.rsplit("/", 1)[1]] = sum(map(int, found.values()))
        return depth

    def settle(self, *, seconds: float = 120) -> None:
        """Wait until the platform is idle: no function at work, queues empty, hot accounts folded.

        Merged mails, which wait for the end of their minute, are not waited for.
        """

        def is_idle() -> bool:
            functions = self.control("GET", "health")
            return (
                not functions["running"]
                and functions["idle_seconds"] > _IDLE_SECONDS
                and not any(count for name, count in self.queues().items() if not name.endswith("mail-flush"))
                and not any(item["pk"].startswith("I#") for item in self.scan("accounts"))
            )

        until(is_idle, seconds=seconds, what="the platform is idle")

    def finish_transfers(self, *, seconds: float) -> None:
        """Run recovery until no transfer is pending."""

        def is_finished() -> bool:
            self.invoke("transfers-recover")
            return not any(item["status"] == "pending" for item in self.scan("transfers") if item["sk"] == "R")

        until(is_finished, seconds=seconds, what="no transfer is pending")

    def verify(self, *, drained: bool = False) -> None:
        """Assert the invariants of `make verify`; invariant 6, notifications, only if the queues are `drained`."""
        violations = [
            f"{finding.number} {finding.title}: {violation.id} {violation.what}"
            for finding in verify(self.run, drained=drained)
            if drained or finding.number != 6
            for violation in finding.violations
            if not violation.id.startswith(UNRECORDED)
        ]
        assert not violations, "\n".join(violations)

    # --- functions, faults and calls

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the control API of the emulator."""
        answer = send(method, f"{self.run.aws_url}/_remit/{path}", body=body)
        assert answer.status < 400, answer.content
        return answer.json if answer.content else None

    @contextmanager
    def fault(self, *rules: Mapping[str, Any]) -> Iterator[None]:
        """Activate fault rules for a while, in place of any others."""
        self.control("DELETE", "faults")
        self.control("POST", "faults", list(rules))
        try:
            yield
        finally:
            self.control("DELETE", "faults")

    def fired(self) -> int:
        """Return how often the active fault rules have fired."""
        return sum(rule["fired"] for rule in self.control("GET", "faults"))

    def schedules(self, *, on: bool) -> None:
        """Enable or disable scheduled functions, among them recovery."""
        events = self.run.client("events")
        for rule in events.list_rules()["Rules"]:
            (events.enable_rule if on else events.disable_rule)(Name=rule["Name"])

    def calls(self, since: int = 0) -> list[Any]:
        """Return the AWS calls of functions after a sequence number."""
        calls: list[Any] = self.control("GET", f"calls?since={since}")
        return calls

    def invoke(self, function: str, event: Any = None) -> Any:
        """Invoke a function by name. Return its result, or None if it failed."""
        reply = self.run.client("lambda").invoke(
            FunctionName=f"{STACK}-{function}", Payload=json.dumps(event or {}).encode()
        )
        payload = reply["Payload"].read()
        return None if "FunctionError" in reply else json.loads(payload or b"null")


def decoded(part: str) -> dict[str, Any]:
    """Return the contents of the header or payload of a token."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def coded(part: Mapping[str, Any]) -> str:
    """Return a header or payload as part of a token."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
