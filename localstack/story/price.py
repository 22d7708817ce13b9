"""What a transfer costs: the AWS calls of its path, write units from the sizes of its items, and list prices."""

import math
from dataclasses import dataclass
from typing import Any

from localstack.story.life import Life
from localstack.tables import Item


@dataclass(frozen=True)
class Prices:
    """Dollars a million, on demand."""

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
    """One step of the path: its calls, in order, and what is paid for."""

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
    def dollars_a_million(self) -> float:
        """The price of a million of these."""
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
    """An item's bytes as DynamoDB counts them: names and values."""
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
    """The units that writing `items` takes: one for each KB of each item, twice that in a transaction."""
    return sum(math.ceil(size(item) / 1024) for item in items) * (2 if transaction else 1)


def read_units(*items: Item) -> int:
    """The units of a strongly consistent read: one for each 4 KB of each item, one for an item that is not there."""
    return sum(max(1, math.ceil(size(item) / 4096)) for item in items)


def steps(life: Life) -> list[Step]:
    """The path of a transfer as far as it came. What is read before the record is written is not known any more."""
    path = [_create(life)]
    if life.markers:
        path.append(_post(life))
    if life.ended:
        path += [_complete(life), _publish(life)]
    if life.notices:
        path.append(_inbox(life))
    path += [_mail(each) for each in life.mails]
    return path


def _create(life: Life) -> Step:
    later = ("answer", "posted_at", "completed_at", "decline_code", "attempts")
    first = {
        name: value for name, value in life.record.items() if name not in later or life.record["kind"] == "deposit"
    }
    key = [life.key] if life.key else []
    indexes = 1 + sum(name in life.record for name in ("payer", "payee"))  # `due`, and the lists of those it concerns
    deposit = life.record["kind"] == "deposit"
    return Step(
        "request",
        (
            "Invoke authorize",
            "BatchGetItem",
            "TransactWriteItems",
            "StartExecution" if deposit else "StartSyncExecution",
        ),
        writes=write_units(*key, first, transaction=True) + indexes,
        reads=4,
        lambdas=2,
        express=0 if deposit else 1,
        gateway=1,
    )


def _post(life: Life) -> Step:
    deposit = life.record["kind"] == "deposit"
    on_rail = ("Invoke submit", "SendMessage", "SendTaskSuccess") if deposit else ()
    hot = len(life.inbox) + len(life.folded)
    entries = life.inbox or [{"pk": "", "sk": ""}] * hot
    moved = [*life.lines, *life.heads] if life.lines else []
    write = "TransactWriteItems" if moved else "PutItem"
    return Step(
        "post",
        (*on_rail, "Invoke post", "BatchGetItem", write),
        writes=write_units(*life.markers, *moved, *entries, transaction=bool(moved)),
        reads=read_units({}, *life.heads),
        lambdas=3 if deposit else 1,
        transitions=5 if deposit else 0,
        queued=3 if deposit else 0,
    )


def _complete(life: Life) -> Step:
    # The update also takes the record out of the index of what is due.
    return Step("complete", ("Invoke complete", "UpdateItem"), writes=write_units(life.record) + 1, lambdas=1)


def _publish(life: Life) -> Step:
    count = int(life.record["sequence"])
    return Step("publish", ("Publish",) * count, published=count, lambdas=count)


def _inbox(life: Life) -> Step:
    counter = {"pk": "U#", "sk": "U", "unread": 1}
    writes = sum(write_units(each, counter, transaction=True) for each in life.notices)
    return Step("inbox", ("TransactWriteItems",) * len(life.notices), writes=writes, lambdas=1, queued=2)


def _mail(marker: Item) -> Step:
    window = {"pk": marker["pk"], "sk": "W", "ends_at": "", "held": False}
    if marker["status"] == "merged":
        held = {"pk": marker["pk"], "sk": "P#", "at": "", "amount": 0, "currency": ""}
        writes = write_units(marker, window, held, transaction=True)
        return Step(f"mail {marker['kind']}, merged", ("BatchGetItem", "TransactWriteItems"), writes=writes, reads=2)
    writes = write_units(marker, window, transaction=True) + write_units(marker)
    calls = ("BatchGetItem", "TransactWriteItems", "Invoke find-user", "SendEmail", "UpdateItem")
    return Step(f"mail {marker['kind']}", calls, writes=writes, reads=3, lambdas=2, queued=2, mails=1)
