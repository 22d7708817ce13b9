"""The transfers room with everything around it in memory: accounts that authorize, sagas that post, a clock."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from common import ids
from common.events import OUTBOX, Actor
from common.idempotency import Answer, key_of
from common.tasks import (
    Authorization,
    AuthorizeDeposit,
    AuthorizeTransfer,
    Complete,
    Completed,
    Destination,
    Party,
    PostOutcome,
)

from functions.transfers.domain import First, Origin, SagaUnavailable, Transfer
from functions.transfers.service import Service
from functions.transfers.store import TransferStore
from tests.support.clock import FakeClock
from tests.support.memory_table import MemoryTable

ANN, BOB, EVE = (f"usr_01K0000000000000000000000{letter}" for letter in "ABE")
ANN_ACCOUNT, BOB_ACCOUNT, ANN_SAVINGS, EVE_ACCOUNT = (f"acc_01K0000000000000000000000{letter}" for letter in "ABSE")
CARD = "crd_01K0000000000000000000000A"
BANK = "bka_01K0000000000000000000000A"
BOB_EMAIL = "bob@example.com"
OWNERS = {ANN_ACCOUNT: ANN, ANN_SAVINGS: ANN, BOB_ACCOUNT: BOB, EVE_ACCOUNT: EVE}
NAMES = {ANN: "Ann A.", BOB: "Bob B.", EVE: "Eve E."}


class Crash(Exception):
    """The process died here."""


class Accounts:
    """Says yes to transfers between known accounts, or whatever `refusal` says; counts what it was asked."""

    def __init__(self) -> None:
        self.refusal = ""
        self.asked: list[AuthorizeTransfer | AuthorizeDeposit] = []

    def transfer(self, request: AuthorizeTransfer) -> Authorization:
        self.asked.append(request)
        if self.refusal:
            return Authorization("refused", self.refusal)
        to = request.destination
        aliased = to.email or to.phone
        payee = to.account_id or {BOB_EMAIL: BOB_ACCOUNT, BOB: BOB_ACCOUNT, None: None}[to.email or to.user_id]
        assert payee is not None
        source = request.source_account_id or ANN_ACCOUNT
        return Authorization(
            "authorized",
            source=Party("account", source, OWNERS[source], NAMES[OWNERS[source]]),
            destination=Party(
                "account", payee, OWNERS[payee], NAMES[OWNERS[payee]], aliased, addressed=to.account_id is not None
            ),
        )

    def deposit(self, request: AuthorizeDeposit) -> Authorization:
        self.asked.append(request)
        if self.refusal:
            return Authorization("refused", self.refusal)
        kind, instrument = ("card", request.card_id) if request.card_id else ("bank_account", request.bank_account_id)
        assert instrument is not None
        return Authorization(
            "authorized",
            source=Party(kind, instrument, ANN, "VISA 4242", addressed=True),  # type: ignore[arg-type]
            destination=Party("account", request.account_id, ANN, NAMES[ANN], addressed=True),
            last4="4242",
        )


@dataclass
class Ledger:
    """What the accounts room's markers guarantee: the first outcome of a transfer is its outcome for good."""

    decline: str = ""
    outcomes: dict[str, PostOutcome] = field(default_factory=dict)
    posted: list[str] = field(default_factory=list)

    def post(self, transfer_id: str) -> PostOutcome:
        if transfer_id not in self.outcomes:
            outcome = PostOutcome("declined", self.decline) if self.decline else PostOutcome("posted", at="2026-11-21")
            self.outcomes[transfer_id] = outcome
            if outcome.outcome == "posted":
                self.posted.append(transfer_id)
        return self.outcomes[transfer_id]

    def refuse(self, transfer_id: str, outcome: Any, code: str) -> PostOutcome:
        return self.outcomes.setdefault(transfer_id, PostOutcome(outcome, code))


class Sagas:
    """Runs the transfer saga's two steps; `faults` are raised, one a run, at the step they name.

    `start` keeps what it was given, until `finish` runs it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.complete: Callable[[Complete], Completed]
        self.faults: list[str] = []
        self.runs = 0
        self.started: list[tuple[str, int]] = []
        self.unavailable: set[str] = set()
        self.between: Callable[[], None] = lambda: None
        self._waiting: list[Transfer] = []

    def run(self, transfer: Transfer) -> Completed:
        self.runs += 1
        fault = self.faults.pop(0) if self.faults else ""
        return self._steps(transfer, fault)

    def start(self, transfer: Transfer, attempt: int) -> None:
        if transfer.id in self.unavailable or "*" in self.unavailable:
            raise SagaUnavailable(transfer.id)
        self.started.append((transfer.id, attempt))
        self._waiting.append(transfer)

    def finish(self) -> None:
        """Lets everything that was started come to its end."""
        waiting, self._waiting = self._waiting, []
        for transfer in waiting:
            self._steps(transfer, "")

    def _steps(self, transfer: Transfer, fault: str) -> Completed:
        state = json.loads(json.dumps(transfer.saga_input()))
        if fault == "crash":
            raise Crash
        _fail(fault, "before post")
        posting = self.ledger.post(transfer.id)
        self.between()
        _fail(fault, "after post")
        completed = self.complete(Complete(state["transfer"], posting.outcome, posting.code, posting.at))
        _fail(fault, "after complete")
        if fault == "crash at the end":
            raise Crash
        return completed


def _fail(fault: str, here: str) -> None:
    if fault == here:
        raise SagaUnavailable(here)


class World:
    """A transfers room in memory, and Ann, who sends."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.table = MemoryTable()
        self.store = TransferStore(self.table)
        self.accounts = Accounts()
        self.ledger = Ledger()
        self.sagas = Sagas(self.ledger)
        self.sleep: Callable[[float], None] = lambda seconds: self.clock.advance(seconds=seconds)
        self.service = Service(
            store=self.store,
            sagas=self.sagas,
            authorize_transfer=self.accounts.transfer,
            authorize_deposit=self.accounts.deposit,
            clock=self.clock,
            new_id=ids.new_id,
            sleep=self._pause,
        )
        self.sagas.complete = self.service.complete

    def send(
        self,
        key: str = "key-1",
        *,
        amount: int = 100,
        caller: str = ANN,
        source: str = ANN_ACCOUNT,
        destination: Destination = Destination(account_id=BOB_ACCOUNT),  # noqa: B008 (frozen)
        description: str = "",
        metadata: Mapping[str, str] | None = None,
        pin: str | None = None,
        trace_id: str = "req-1",
    ) -> First:
        request = AuthorizeTransfer(caller, source, destination, amount, "USD", pin, Actor(caller))
        body = {"source": source, "destination": str(destination), "amount": amount, "pin": pin}
        origin = replace(origin_of(caller, "/v1/transfers", key, body), trace_id=trace_id)
        return self.service.send(origin, request, description, metadata or {})

    def deposit(self, key: str = "key-1", *, amount: int = 100, account: str = ANN_ACCOUNT) -> First:
        request = AuthorizeDeposit(ANN, account, amount, "USD", card_id=CARD)
        body = {"account": account, "amount": amount}
        return self.service.deposit(origin_of(ANN, "/v1/deposits", key, body), request, "savings")

    def _pause(self, seconds: float) -> None:
        self.sleep(seconds)

    def records(self) -> list[dict[str, Any]]:
        return [item for item in self.table.items() if item["sk"] == "R"]

    def record(self) -> Transfer:
        """The only transfer there is."""
        (item,) = self.records()
        return Transfer.of(item)

    def events(self) -> list[dict[str, Any]]:
        """Every event that the stream has brought, in order, once."""
        seen: dict[str, dict[str, Any]] = {}
        for before, after in self.table.changes:
            old = {event["id"] for event in json.loads((before or {}).get(OUTBOX, "[]"))}
            for event in json.loads((after or {}).get(OUTBOX, "[]")):
                if event["id"] not in old:
                    assert event["id"] not in seen, "told twice"
                    seen[event["id"]] = event
        return list(seen.values())


def origin_of(caller: str, path: str, key: str, body: Mapping[str, Any]) -> Origin:
    actor = Actor(caller, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
    return Origin(caller, actor, key_of(caller, "POST", path, key, body, b"secret"), "req-1", path)


def body_of(answer: Answer) -> Any:
    return json.loads(answer.body)
