"""The fault run: a fault at each AWS call on the paths that money takes, and deposits whose rail is slow or silent.

It starts early in a session. The other tests run while interrupted work is retried, and test_after_faults.py checks
that all of it was finished exactly once. docs/money-paths.md says for each call what is left and what finishes it.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.e2e.client import PASSWORD, Person, card_number, expect, iban, new_key, until
from tests.e2e.platform import Platform
from tools.http import Answer

AMOUNT, STRANDED = 7, 6


@dataclass(frozen=True)
class Case:
    """One fault at one call, which happens once during a transfer, a deposit, a registration or a recovery."""

    path: str
    step: str
    function: str
    service: str
    operation: str
    do: str
    when: str = "before"
    nth: int = 1

    @property
    def id(self) -> str:
        """The name of the case in docs/money-paths.md, such as `transfer-post-kill-after`."""
        return f"{self.path}-{self.step}-{self.do}-{self.when}"

    @property
    def rule(self) -> dict[str, Any]:
        """The fault rule for the emulator."""
        names = ("function", "service", "operation", "do", "when", "nth")
        return {name: getattr(self, name) for name in names}


# path, step, function, service, operation, which of such calls
CALLS = [
    ("transfer", "key", "TransfersTransfers", "dynamodb", "BatchGetItem", 1),
    ("transfer", "approve", "TransfersTransfers", "lambda", "Invoke", 1),
    ("transfer", "look-up", "AccountsApproveTransfer", "dynamodb", "BatchGetItem", 1),
    ("transfer", "look-up-default", "AccountsApproveTransfer", "dynamodb", "BatchGetItem", 2),
    ("transfer", "create", "TransfersTransfers", "dynamodb", "TransactWriteItems", 1),
    ("transfer", "start", "TransfersTransfers", "states", "StartSyncExecution", 1),
    ("transfer", "read", "AccountsPost", "dynamodb", "BatchGetItem", 1),
    ("transfer", "post", "AccountsPost", "dynamodb", "TransactWriteItems", 1),
    ("transfer", "complete", "TransfersComplete", "dynamodb", "UpdateItem", 1),
    ("transfer", "publish", "OperationsPublish", "sns", "Publish", 2),
    ("transfer", "notify", "NotificationsInbox", "dynamodb", "TransactWriteItems", 1),
    ("deposit", "key", "TransfersDeposits", "dynamodb", "BatchGetItem", 1),
    ("deposit", "approve", "TransfersDeposits", "lambda", "Invoke", 1),
    ("deposit", "look-up", "AccountsApproveDeposit", "dynamodb", "BatchGetItem", 1),
    ("deposit", "create", "TransfersDeposits", "dynamodb", "TransactWriteItems", 1),
    ("deposit", "start", "TransfersDeposits", "states", "StartExecution", 1),
    ("deposit", "expect", "AccountsExpect", "dynamodb", "TransactWriteItems", 1),
    ("deposit", "submit", "TransfersSubmit", "sqs", "SendMessage", 1),
    ("deposit", "answer-look", "TransfersRailAnswer", "dynamodb", "GetItem", 1),
    ("deposit", "answer-record", "TransfersRailAnswer", "dynamodb", "UpdateItem", 1),
    ("deposit", "answer", "TransfersRailAnswer", "states", "SendTaskSuccess", 1),
    ("deposit", "post", "AccountsPost", "dynamodb", "TransactWriteItems", 1),
    ("deposit", "complete", "TransfersComplete", "dynamodb", "UpdateItem", 1),
    ("deposit", "fold-look", "AccountsFold", "dynamodb", "GetItem", 1),
    ("deposit", "fold-read", "AccountsFold", "dynamodb", "Query", 1),
    ("deposit", "fold-book", "AccountsFold", "dynamodb", "TransactWriteItems", 1),
    ("deposit", "fold-remove", "AccountsFold", "dynamodb", "BatchWriteItem", 1),
    ("deposit", "fold-clean", "AccountsFold", "dynamodb", "UpdateItem", 1),
    ("register", "write", "AuthRegister", "dynamodb", "TransactWriteItems", 1),
    ("register", "publish", "OperationsPublish", "sns", "Publish", 1),
    ("register", "payees", "AccountsUsers", "dynamodb", "TransactWriteItems", 1),
    ("register", "mail-look", "MailMail", "dynamodb", "BatchGetItem", 1),
    ("register", "mail-claim", "MailMail", "dynamodb", "TransactWriteItems", 1),
    ("register", "mail-code", "MailMail", "lambda", "Invoke", 1),
    ("register", "mint", "AuthMintCode", "dynamodb", "UpdateItem", 1),
    ("register", "mail-send", "MailMail", "ses", "SendEmail", 1),
    ("register", "mail-mark-sent", "MailMail", "dynamodb", "UpdateItem", 1),
]
# Faults at the three writes of a transfer that its process survives.
WRITES = [
    ("create", "TransfersTransfers", "TransactWriteItems"),
    ("post", "AccountsPost", "TransactWriteItems"),
    ("complete", "TransfersComplete", "UpdateItem"),
]
KILLS = [
    Case(path, step, function, service, operation, "kill", when, nth)
    for path, step, function, service, operation, nth in CALLS
    for when in ("before", "after")
]
SURVIVED = [
    Case("transfer", step, function, "dynamodb", operation, do)
    for step, function, operation in WRITES
    for do in ("lost_reply", "throttle", "error", "conflict")
    if do != "conflict" or operation == "TransactWriteItems"
]
CASES = [*KILLS, *SURVIVED]
# The calls of recovery itself. test_recovery.py kills it there while transfers are stranded.
RECOVERY = [
    Case("recovery", step, "TransfersRecover", service, operation, "kill", when)
    for step, service, operation in (
        ("list", "dynamodb", "Query"),
        ("look", "dynamodb", "GetItem"),
        ("claim", "dynamodb", "UpdateItem"),
        ("start", "states", "StartExecution"),
    )
    for when in ("before", "after")
]


@dataclass
class Outcome:
    """What the client of a case saw while the fault was active."""

    key: str
    answer: Answer | None = None
    person: Person | None = None


@dataclass
class FaultRun:
    """The fault run of this session, and what its clients saw."""

    platform: Platform
    name: str = field(default_factory=lambda: f"faults-{secrets.token_hex(3)}")
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    stranded: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start everything that takes long, then inject one fault after another."""
        self.platform.schedules(on=False)  # recovery runs only when tests invoke it
        self.ada, self.bob, self.eve = self.platform.crowd(3)
        self.ada.deposit(100_000, card=self.ada.link_card())
        self.card = self.bob.link_card()
        self._start_late_deposits()
        self._start_sessions()
        self._strand_transfers()
        # Three paths at once. A fault may also hit another path, but each fires exactly once.
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self._inject, ("transfer", "deposit", "register")))
        self.platform.control("DELETE", "faults")

    def _start_late_deposits(self) -> None:
        """Start deposits from a card that confirms after 30 s and from a bank that never answers."""
        card = {"card_id": self.eve.link_card(card_number("0259"))}
        body = {"bank_id": self.eve.get("/banks")["data"][0]["id"], "iban": iban("0259"), "holder_name": "Eve"}
        bank = {"bank_account_id": self.eve.post("/bank-accounts", body, status=201)["id"]}
        for name, source in (("slow card", card), ("silent bank", bank)):
            body = {"account_id": self.eve.accounts["USD"], "amount": 5000, "currency": "USD", "source": source}
            self.late[name] = self.eve.post("/deposits", body, status=202, key=new_key())["id"]

    def _start_sessions(self) -> None:
        """End a session whose access token the gateway has cached, and rotate the refresh token of another."""
        self.logged_out = self.platform.register()
        self.logged_out.login()
        self.logged_out.get("/auth/me")
        self.logged_out.post("/auth/logout", {"refresh_token": self.logged_out.refresh_token}, status=204)
        self.robbed = self.platform.register()
        self.stolen_token = self.robbed.login()["refresh_token"]
        self.robbed.refresh()

    def _strand_transfers(self) -> None:
        """Record transfers whose saga does not start, for recovery to find."""
        rule = next(case for case in KILLS if case.id == "transfer-start-kill-before").rule
        with self.platform.fault({**rule, "times": STRANDED}):
            for number in range(STRANDED):
                key = f"{self.name}-stranded-{number}"
                expect(self.ada.transfer({"email": self.bob.email}, AMOUNT, key=key), 503)
                self.stranded.append(key)

    def _inject(self, path: str) -> None:
        requests: dict[str, Callable[[Outcome], None]] = {
            "transfer": self.transfer,
            "deposit": self.deposit,
            "register": self._register,
        }
        for case in CASES:
            if case.path == path:
                outcome = self.outcomes[case.id] = Outcome(key=f"{self.name}-{case.id}")
                (rule,) = self.platform.control("POST", "faults", [case.rule])
                requests[path](outcome)
                until(partial(self._has_fired, rule["id"]), seconds=40, what=f"the fault {case.id} fires")

    def _has_fired(self, rule_id: int) -> bool:
        return any(rule["fired"] for rule in self.platform.control("GET", "faults") if rule["id"] == rule_id)

    def transfer(self, outcome: Outcome) -> None:
        """Send the transfer of a case. Sent again, it is the client's retry."""
        outcome.answer = self.ada.transfer({"email": self.bob.email}, AMOUNT, key=outcome.key)

    def deposit(self, outcome: Outcome) -> None:
        """Send the deposit of a case. Sent again, it is the client's retry."""
        body = {"account_id": self.bob.accounts["USD"], "amount": AMOUNT, "currency": "USD"}
        outcome.answer = self.bob.request(
            "POST", "/deposits", body | {"source": {"card_id": self.card}}, key=outcome.key
        )

    def _register(self, outcome: Outcome) -> None:
        outcome.person = Person(
            self.platform.run.api_url, email=f"{outcome.key}@example.com", first_name="Sue", last_name="Stone"
        )
        outcome.answer = register(outcome.person)


def register(person: Person) -> Answer:
    """Send a registration and return the answer, whatever it is."""
    names = {"first_name": person.first_name, "last_name": person.last_name}
    return person.request("POST", "/auth/register", {"email": person.email, "password": PASSWORD, **names})


def is_acceptable(answer: Answer) -> bool:
    """Return whether a client may get this answer during a fault: the outcome, or 503 with Retry-After."""
    if answer.status in (201, 202):
        return True
    return bool(expect(answer, 503)["code"] == "unavailable" and answer.header("retry-after") == "1")
