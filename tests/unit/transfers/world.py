"""The transfers context in memory, with fakes for the accounts context's tasks and for the sagas."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from common import ids
from common.contracts.accounts import ApproveDeposit, ApproveTransfer, Destination, Party, PostOutcome, TransferApproval
from common.contracts.auth import FindUser, FoundUser
from common.contracts.events import Actor
from common.contracts.transfers import Complete, Completed
from common.dynamo import Table
from common.errors import Refusal
from common.events import OUTBOX
from common.idempotency import Answer, IdempotencyKey, KeyedAnswer, canonical_body, scope_of
from common.keys import Keyring

from functions.transfers.domain.deposits import MakeDeposit, RailAnswer
from functions.transfers.domain.intents import RequestOrigin
from functions.transfers.domain.lifecycle import SagaUnavailable
from functions.transfers.domain.transfers import SendTransfer, Transfer
from functions.transfers.models.resources import respond
from functions.transfers.service.completion import Completion
from functions.transfers.service.deposits import Deposits
from functions.transfers.service.history import History
from functions.transfers.service.intents import Intents
from functions.transfers.service.rail import RailAnswers
from functions.transfers.service.recovery import Recovery
from functions.transfers.service.transfers import Transfers
from functions.transfers.service.users import Users
from functions.transfers.store.history import HistoryStore
from functions.transfers.store.recovery import RecoveryStore
from functions.transfers.store.transfers import TransferStore
from functions.transfers.store.users import UserStore
from tests.support.clock import FakeClock
from tests.support.memory_table import MemoryTable

ANN, BOB, EVE = (f"usr_01K0000000000000000000000{letter}" for letter in "ABE")
ANN_ACCOUNT, BOB_ACCOUNT, ANN_SAVINGS, EVE_ACCOUNT = (f"acc_01K0000000000000000000000{letter}" for letter in "ABSE")
CARD = "crd_01K0000000000000000000000A"
BANK = "bka_01K0000000000000000000000A"
BOB_EMAIL, BOB_PHONE = "bob@example.com", "+15550000002"
KEYS = Keyring({"1": b"secret"})
OWNERS = {ANN_ACCOUNT: ANN, ANN_SAVINGS: ANN, BOB_ACCOUNT: BOB, EVE_ACCOUNT: EVE}
NAMES = {ANN: "Ann A.", BOB: "Bob B.", EVE: "Eve E."}


class Crash(Exception):
    """A crash of the process."""


class Accounts:
    """Approves transfers between known accounts, or refuses with the code `refusal`; records the requests."""

    def __init__(self) -> None:
        self.refusal = ""
        self.requests: list[ApproveTransfer | ApproveDeposit] = []

    def approve_transfer(self, request: ApproveTransfer) -> TransferApproval:
        self._receive(request)
        to = request.destination
        alias = to.email or to.phone
        assert to.account_id or (alias or to.user_id) in (BOB_EMAIL, BOB_PHONE, BOB)
        payee = to.account_id or BOB_ACCOUNT
        source = request.source_account_id or ANN_ACCOUNT
        return TransferApproval(
            source=Party("account", source, OWNERS[source], NAMES[OWNERS[source]]),
            destination=Party(
                "account", payee, OWNERS[payee], NAMES[OWNERS[payee]], alias, addressed=to.account_id is not None
            ),
        )

    def approve_deposit(self, request: ApproveDeposit) -> TransferApproval:
        self._receive(request)
        kind, instrument = ("card", request.card_id) if request.card_id else ("bank_account", request.bank_account_id)
        assert instrument is not None
        return TransferApproval(
            source=Party(kind, instrument, ANN, "VISA 4242", addressed=True),  # type: ignore[arg-type]
            destination=Party("account", request.account_id, ANN, NAMES[ANN], addressed=True),
            last4="4242",
        )

    def _receive(self, request: ApproveTransfer | ApproveDeposit) -> None:
        self.requests.append(request)
        if self.refusal:
            raise Refusal(self.refusal)


@dataclass
class Ledger:
    """The guarantee of the ledger's step outcomes: the first outcome of a transfer is final."""

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


class Sagas:
    """Runs the two steps of the transfer saga. Each run takes one of `faults`, which names the step that fails.

    What `start` gets waits until `finish`.
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
        """Run everything that was started to its end."""
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
    """The transfers context, in memory unless a table and sagas are given, and Ann, who sends."""

    def __init__(self, table: Table | None = None, sagas: Any = None) -> None:
        self.clock = FakeClock()
        self.table: Any = table or MemoryTable()
        self.store = TransferStore(self.table)
        self.accounts = Accounts()
        self.ledger = Ledger()
        self.sagas = sagas or Sagas(self.ledger)
        self.sleep: Callable[[float], None] = lambda seconds: self.clock.advance(seconds=seconds)
        self.intents = Intents(self.store, self.sagas, respond, self.clock, ids.new_id, self._pause)
        self.transfers = Transfers(self.intents, self.accounts.approve_transfer)
        self.deposits = Deposits(self.intents, self.accounts.approve_deposit)
        self.completion = Completion(self.store, respond, self.clock)
        self.history = History(HistoryStore(self.table), self.store, self._find_user)
        self.recovery = Recovery(RecoveryStore(self.table), self.store, self.sagas, self.clock)
        self.resumed: list[tuple[str, dict[str, str]]] = []
        self.rail_answers = RailAnswers(self.store, self._resume, self.clock)
        self.users = Users(UserStore(self.table))
        self.sagas.complete = self.completion.complete

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
    ) -> KeyedAnswer:
        body = {"source": source, "destination": str(destination), "amount": amount, "pin": pin}
        return self.transfers.send(
            SendTransfer(
                origin=_origin(caller, "/v1/transfers", key, body, trace_id),
                source_account_id=source,
                destination=destination,
                amount=amount,
                currency="USD",
                description=description,
                metadata=metadata or {},
                pin=pin,
            )
        )

    def deposit(self, key: str = "key-1", *, amount: int = 100, account: str = ANN_ACCOUNT) -> KeyedAnswer:
        origin = _origin(ANN, "/v1/deposits", key, {"account": account, "amount": amount})
        return self.deposits.make(
            MakeDeposit(
                origin=origin, account_id=account, card_id=CARD, amount=amount, currency="USD", description="savings"
            )
        )

    def answer(self, outcome: Any, code: str = "", operation: Any = "collect") -> bool:
        """Let the rail answer about the only transfer there is."""
        return self.rail_answers.handle(RailAnswer(self.record().id, operation, outcome, code), "token")

    def _find_user(self, request: FindUser) -> FoundUser:
        """Only Bob's addresses are verified."""
        is_bob = (request.email or request.phone) in (BOB_EMAIL, BOB_PHONE)
        return FoundUser("found", user_id=BOB) if is_bob else FoundUser("not_found")

    def _resume(self, task_token: str, outcome: dict[str, str]) -> bool:
        self.resumed.append((task_token, outcome))
        return True

    def _pause(self, seconds: float) -> None:
        self.sleep(seconds)

    def interrupted(self, **options: Any) -> Transfer:
        """Send, and crash before the posting. Returns the pending transfer."""
        self.sagas.faults = ["crash"]
        with pytest.raises(Crash):
            self.send(**options)
        return self.record()

    def complete(self, pending: Transfer, outcome: Any = "posted", code: str = "") -> Completed:
        """End a transfer with the outcome of its posting, as its saga does."""
        at = "2026-11-21" if outcome == "posted" else ""
        return self.completion.complete(Complete(pending.record(), outcome, code, at))

    def records(self) -> list[dict[str, Any]]:
        return [item for item in self.table.items() if item["sk"] == "R"]

    def record(self) -> Transfer:
        """The only transfer there is."""
        (item,) = self.records()
        return Transfer.from_record(item)

    def events(self) -> list[dict[str, Any]]:
        """The events that the table's stream has brought, in order; none comes twice."""
        found: dict[str, dict[str, Any]] = {}
        for before, after in self.table.changes:
            old = {event["id"] for event in json.loads((before or {}).get(OUTBOX, "[]"))}
            for event in json.loads((after or {}).get(OUTBOX, "[]")):
                if event["id"] not in old:
                    assert event["id"] not in found, "published twice"
                    found[event["id"]] = event
        return list(found.values())


def _origin(caller: str, path: str, key: str, body: Mapping[str, Any], trace_id: str = "req-1") -> RequestOrigin:
    actor = Actor(caller, "ses_01K0000000000000000000000A", "203.0.113.7", "tests")
    return RequestOrigin(caller, actor, key_of(caller, path, key, body), trace_id, path)


def key_of(caller: str, path: str, key: str, body: Mapping[str, Any]) -> IdempotencyKey:
    return IdempotencyKey(scope_of(caller, "POST", path, key), KEYS.digests(canonical_body(body)))


def body_of(answer: Answer) -> Any:
    return json.loads(answer.body)
