"""The costs of a transfer: its AWS calls, units from the sizes of its items, and list prices."""

import math
from dataclasses import dataclass
from typing import Any

from tools.story.history import History
from tools.tables import Item


@dataclass(frozen=True)
class Prices:
    """On-demand prices in dollars per million."""

    region: str
    asof: str
    write_units: float
    read_units: float
    lambda_requests: float
    express_requests: float
    state_transitions: float
    sns_publishes: float
    sqs_requests: float
    gateway_requests: float
    mails: float


PRICES = Prices(
    region="us-east-1",
    asof="2025",
    write_units=0.625,
    read_units=0.125,
    lambda_requests=0.20,
    express_requests=1.00,
    state_transitions=25.00,
    sns_publishes=0.50,
    sqs_requests=0.40,
    gateway_requests=3.50,
    mails=100.00,
)


@dataclass(frozen=True)
class Step:
    """One step of a transfer: its calls, in order, and the billed units."""

    name: str
    calls: tuple[str, ...] = ()
    writes: int = 0
    reads: int = 0
    lambdas: int = 0
    express: int = 0
    transitions: int = 0
    published: int = 0
    queued: int = 0
    gateway: int = 0
    mails: int = 0

    def __add__(self, other: "Step") -> "Step":
        added = {name: value + getattr(other, name) for name, value in vars(self).items() if name != "name"}
        return Step(self.name, **added)

    @property
    def dollars_per_million(self) -> float:
        """The price of a million such steps."""
        return (
            self.writes * PRICES.write_units
            + self.reads * PRICES.read_units
            + self.lambdas * PRICES.lambda_requests
            + self.express * PRICES.express_requests
            + self.transitions * PRICES.state_transitions
            + self.published * PRICES.sns_publishes
            + self.queued * PRICES.sqs_requests
            + self.gateway * PRICES.gateway_requests
            + self.mails * PRICES.mails
        )


def size(item: Item) -> int:
    """Return the size of an item in bytes as DynamoDB counts it."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Any) -> int:
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return math.ceil(len(str(abs(value))) / 2) + 1
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return 3 + size(value) + len(value)
    return 3 + sum(_size(each) + 1 for each in value)


def write_units(*items: Item, transaction: bool = False) -> int:
    """Return the write units for these items: one per KB of each item, twice that in a transaction."""
    return sum(math.ceil(size(item) / 1024) for item in items) * (2 if transaction else 1)


def read_units(*items: Item) -> int:
    """Return the units of a strongly consistent read: one per 4 KB of each item, one for a missing item."""
    return sum(max(1, math.ceil(size(item) / 4096)) for item in items)


def steps(history: History) -> list[Step]:
    """Return the steps that the transfer has taken. Reads before its record was written are estimated."""
    path = [_create(history)]
    if history.expectation:
        path.append(_expect(history, history.expectation))
    if history.outcomes:
        path.append(_post(history))
    if history.ended:
        path += [_complete(history), _publish(history)]
    if history.notifications:
        path.append(_notify(history))
    path += [_mail(each) for each in history.mails]
    return path


def _create(history: History) -> Step:
    later = ("answer", "posted_at", "completed_at", "decline_code", "attempts")
    first = {
        name: value
        for name, value in history.record.items()
        # `transfer.created` is on the key: the record gets its outbox with its end.
        if name != "outbox" and (name not in later or history.record["kind"] == "deposit")
    }
    key = [history.key] if history.key else []
    # `due`, and the lists of the parties that may see it by now.
    indexes = 1 + ("payer" in history.record) + _shows_payee_at_once(history.record)
    deposit = history.record["kind"] == "deposit"
    return Step(
        "request",
        (
            "BatchGetItem",
            "Invoke approve",
            "BatchGetItem",
            "TransactWriteItems",
            "StartExecution" if deposit else "StartSyncExecution",
        ),
        writes=write_units(*key, first, transaction=True) + indexes,
        reads=6,
        lambdas=2,
        express=0 if deposit else 1,
        gateway=1,
    )


def _expect(history: History, expectation: Item) -> Step:
    # The transaction also checks that the posting step has no outcome.
    checked = [*history.heads, {"pk": ""}] if expectation["outcome"] == "expected" else []
    return Step(
        "expect",
        ("Invoke expect", "BatchGetItem", "TransactWriteItems" if checked else "PutItem"),
        writes=write_units(expectation, *checked, transaction=bool(checked)),
        reads=read_units({}, *history.heads),
        lambdas=1,
        transitions=2,
    )


def _post(history: History) -> Step:
    deposit = history.record["kind"] == "deposit"
    on_rail = ("Invoke submit", "SendMessage", "GetItem", "UpdateItem", "SendTaskSuccess") if deposit else ()
    hot = len(history.pending) + len(history.folded)
    entries = history.pending or [{"pk": "", "sk": ""}] * hot
    moved = [*history.lines, *history.heads] if history.lines else []
    write = "TransactWriteItems" if moved else "PutItem"
    return Step(
        "post",
        (*on_rail, "Invoke post", "BatchGetItem", write),
        writes=write_units(*history.outcomes, *moved, *entries, transaction=bool(moved))
        + (write_units(history.record) if deposit else 0),
        reads=read_units({}, *history.heads) + (read_units(history.record) if deposit else 0),
        lambdas=3 if deposit else 1,
        transitions=6 if deposit else 0,
        queued=3 if deposit else 0,
    )


def _complete(history: History) -> Step:
    # The update also removes the record from the `due` index, and adds it to the payee's list if it is not there yet.
    indexes = 1 + (not _shows_payee_at_once(history.record))
    return Step("complete", ("Invoke complete", "UpdateItem"), writes=write_units(history.record) + indexes, lambdas=1)


def _shows_payee_at_once(record: Item) -> bool:
    """Return whether the payee sees the transfer while it is pending, because it is theirs."""
    return bool(record.get("payee") == record["initiated_by"])


def _publish(history: History) -> Step:
    count = int(history.record["sequence"])
    return Step("publish", ("Publish",) * count, published=count, lambdas=count)


def _notify(history: History) -> Step:
    counter = {"pk": "U#", "sk": "U", "unread": 1}
    writes = sum(write_units(each, counter, transaction=True) for each in history.notifications)
    return Step("notify", ("TransactWriteItems",) * len(history.notifications), writes=writes, lambdas=1, queued=2)


def _mail(mail: Item) -> Step:
    window = {"pk": mail["pk"], "sk": "W", "ends_at": "", "held": False}
    if mail["status"] == "merged":
        held = {"pk": mail["pk"], "sk": "P#", "at": "", "amount": 0, "currency": ""}
        writes = write_units(mail, window, held, transaction=True)
        return Step(f"mail {mail['kind']}, merged", ("BatchGetItem", "TransactWriteItems"), writes=writes, reads=2)
    writes = write_units(mail, window, transaction=True) + write_units(mail)
    calls = ("BatchGetItem", "TransactWriteItems", "Invoke find-user", "SendEmail", "UpdateItem")
    return Step(f"mail {mail['kind']}", calls, writes=writes, reads=3, lambdas=2, queued=2, mails=1)
