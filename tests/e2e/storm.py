"""Faults at every AWS call of the paths that money takes, and deposits whose rail is slow or silent.

All of it is let loose when the session begins; the other tests run while clocks pass, and at the end everything has to
be right. docs/money-paths.md says of each call what is left behind and who finishes it.
"""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from localstack.http import Answer
from tests.e2e.client import Person, card_number, expect, iban, new_key, until
from tests.e2e.world import World

AMOUNT, STRANDED = 7, 6


@dataclass(frozen=True)
class Case:
    """One fault, once, at one call, and what is going on meanwhile: a transfer, a deposit or a registration."""

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
        """`transfer-post-kill-after`."""
        return f"{self.path}-{self.step}-{self.do}-{self.when}"

    @property
    def rule(self) -> dict[str, Any]:
        """The launcher's fault rule."""
        names = ("function", "service", "operation", "do", "when", "nth")
        return {name: getattr(self, name) for name in names}


# path, step, function, service, operation, which of such calls
CALLS = [
    ("transfer", "authorize", "TransfersTransfers", "lambda", "Invoke", 1),
    ("transfer", "look-up", "AccountsAuthorizeTransfer", "dynamodb", "BatchGetItem", 1),
    ("transfer", "look-up-default", "AccountsAuthorizeTransfer", "dynamodb", "BatchGetItem", 2),
    ("transfer", "create", "TransfersTransfers", "dynamodb", "TransactWriteItems", 1),
    ("transfer", "start", "TransfersTransfers", "states", "StartSyncExecution", 1),
    ("transfer", "read", "AccountsPost", "dynamodb", "BatchGetItem", 1),
    ("transfer", "post", "AccountsPost", "dynamodb", "TransactWriteItems", 1),
    ("transfer", "complete", "TransfersComplete", "dynamodb", "UpdateItem", 1),
    ("transfer", "publish", "OperationsPublish", "sns", "Publish", 2),
    ("transfer", "notify", "NotificationsInbox", "dynamodb", "TransactWriteItems", 1),
    ("deposit", "authorize", "TransfersDeposits", "lambda", "Invoke", 1),
    ("deposit", "look-up", "AccountsAuthorizeDeposit", "dynamodb", "BatchGetItem", 1),
    ("deposit", "create", "TransfersDeposits", "dynamodb", "TransactWriteItems", 1),
    ("deposit", "start", "TransfersDeposits", "states", "StartExecution", 1),
    ("deposit", "submit", "TransfersSubmit", "sqs", "SendMessage", 1),
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
    ("register", "directory", "AccountsDirectory", "dynamodb", "TransactWriteItems", 1),
    ("register", "mail-look", "MailMail", "dynamodb", "BatchGetItem", 1),
    ("register", "mail-claim", "MailMail", "dynamodb", "TransactWriteItems", 1),
    ("register", "mail-code", "MailMail", "lambda", "Invoke", 1),
    ("register", "mint", "AuthMintCode", "dynamodb", "UpdateItem", 1),
    ("register", "mail-send", "MailMail", "ses", "SendEmail", 1),
    ("register", "mail-settle", "MailMail", "dynamodb", "UpdateItem", 1),
]
# Faults that the process survives, at the three writes of a transfer.
REFUSALS = [
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
    for step, function, operation in REFUSALS
    for do in ("lost_reply", "throttle", "error", "conflict")
    if do != "conflict" or operation == "TransactWriteItems"
]
CASES = [*KILLS, *SURVIVED]
# What recovery itself does; test_recovery kills it there, over the transfers that are left stranded.
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
    """What was seen of a case while its fault was in force."""

    key: str
    answer: Answer | None = None
    person: Person | None = None


@dataclass
class Storm:
    """The cases, let loose one after the other."""

    world: World
    name: str = field(default_factory=lambda: f"storm-{secrets.token_hex(3)}")
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    stranded: list[str] = field(default_factory=list)

    def rage(self) -> None:
        """Everything that takes long: first the slow rails and what must lie for a while, then the faults."""
        self.world.schedule(on=False)  # recovery runs when test_recovery says so
        self.ada, self.bob, self.eve = self.world.crowd(3)
        self.ada.deposit(100_000, card=self.ada.link_card())
        self.card = self.bob.link_card()
        self._late()
        self._leave()
        self._strand()
        # Three paths at once: a fault may as well strike what another path is doing, and each still strikes once.
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self._strike_all, ("transfer", "deposit", "register")))
        self.world.control("DELETE", "faults")

    def _late(self) -> None:
        """Deposits over a card that answers after 30 s and a bank that never does."""
        card = {"card_id": self.eve.link_card(card_number("0259"))}
        body = {"bank_id": self.eve.get("/banks")["data"][0]["id"], "iban": iban("0259"), "holder_name": "Eve"}
        bank = {"bank_account_id": self.eve.post("/bank-accounts", body, status=201)["id"]}
        for name, source in (("slow card", card), ("silent bank", bank)):
            body = {"account_id": self.eve.accounts["USD"], "amount": 5000, "currency": "USD", "source": source}
            self.late[name] = self.eve.post("/deposits", body, status=202, key=new_key())["id"]

    def _leave(self) -> None:
        """A session that ended, with an access token that the authorizer has seen; and one whose tokens rotated."""
        self.gone = self.world.register()
        self.gone.login()
        self.gone.get("/auth/me")
        self.gone.post("/auth/logout", {"refresh_token": self.gone.refresh_token}, status=204)
        self.robbed = self.world.register()
        self.stolen = self.robbed.login()["refresh_token"]
        self.robbed.refresh()

    def _strand(self) -> None:
        """Transfers that are recorded and whose saga never started, for recovery to be killed over."""
        rule = KILLS[[case.id for case in KILLS].index("transfer-start-kill-before")].rule
        with self.world.fault({**rule, "times": STRANDED}):
            for number in range(STRANDED):
                key = f"{self.name}-stranded-{number}"
                expect(self.ada.transfer({"email": self.bob.email}, AMOUNT, key=key), 503)
                self.stranded.append(key)

    def _strike_all(self, path: str) -> None:
        doing: dict[str, Callable[[Outcome], None]] = {
            "transfer": self.transfer,
            "deposit": self.deposit,
            "register": self._register,
        }
        for case in CASES:
            if case.path == path:
                outcome = self.outcomes[case.id] = Outcome(key=f"{self.name}-{case.id}")
                (rule,) = self.world.control("POST", "faults", [case.rule])
                doing[path](outcome)
                until(partial(self._fired, rule["id"]), seconds=40, what=f"{case.id} strikes")

    def _fired(self, number: int) -> bool:
        return any(rule["fired"] for rule in self.world.control("GET", "faults") if rule["id"] == number)

    def transfer(self, outcome: Outcome) -> None:
        """The transfer of a case; again, it is the client's retry."""
        outcome.answer = self.ada.transfer({"email": self.bob.email}, AMOUNT, key=outcome.key)

    def deposit(self, outcome: Outcome) -> None:
        """The deposit of a case; again, it is the client's retry."""
        body = {"account_id": self.bob.accounts["USD"], "amount": AMOUNT, "currency": "USD"}
        outcome.answer = self.bob.request(
            "POST", "/deposits", body | {"source": {"card_id": self.card}}, key=outcome.key
        )

    def _register(self, outcome: Outcome) -> None:
        person = Person(self.world.run.api_url, email=f"{outcome.key}@example.com", first_name="Sue", last_name="Storm")
        outcome.person = person
        outcome.answer = register(person)


def register(person: Person) -> Answer:
    """A registration, whatever comes of it."""
    from tests.e2e.client import PASSWORD

    names = {"first_name": person.first_name, "last_name": person.last_name}
    return person.request("POST", "/auth/register", {"email": person.email, "password": PASSWORD, **names})


def accepted(answer: Answer) -> bool:
    """Whether an answer is one that a fault may cause: the outcome, or an honest `try again`."""
    if answer.status in (201, 202):
        return True
    return bool(expect(answer, 503)["code"] == "unavailable" and answer.header("retry-after") == "1")
