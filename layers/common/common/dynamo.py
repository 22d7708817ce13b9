"""A DynamoDB table as the stores use it: plain Python items, conditions as data, cancellations as values.

Numbers are integers in both directions, never floats or Decimals. Every attribute goes through an expression name,
because AWS refuses reserved words that emulators accept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from botocore.exceptions import ClientError

from common.errors import Contended, RemitError
from common.retry import ATTEMPTS, pause

Item = dict[str, Any]
Key = tuple[str, str]
Operator = Literal[
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "begins",
    "absent",
    "present",
    "absent or =",
    "absent or <>",
    "absent or <",
    "absent or <=",
    "absent or >",
    "absent or >=",
]
Term = tuple[str, Operator, Any]
Where = Sequence[Term]
"""Terms that must all hold: `(attribute, operator, value)`. For `absent` and `present` the value is ignored."""

CONFLICT = "TransactionConflict"
CONDITION = "ConditionalCheckFailed"
_TRANSIENT = {CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded", "None"}


class ConditionFailed(RemitError):
    """The condition of a write did not hold. `old` is the current item, None if there is none."""

    def __init__(self, old: Item | None) -> None:
        super().__init__("condition failed")
        self.old = old


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one write of a cancelled transaction was refused: AWS's code, and the current item."""

    code: str
    old: Item | None

    @property
    def failed(self) -> bool:
        """Whether the condition of this write did not hold."""
        return self.code == CONDITION


class Cancelled(RemitError):
    """A transaction changed nothing. `reasons` are in the order of its writes."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__("transaction cancelled: " + ", ".join(reason.code for reason in reasons))
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True)
class Put:
    """Write a whole item if the condition holds."""

    item: Item
    where: Where = ()


@dataclass(frozen=True, slots=True)
class Update:
    """Change attributes of one item if the condition holds."""

    key: Key
    set: Mapping[str, Any] = field(default_factory=dict)
    set_if_absent: Mapping[str, Any] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    remove: Sequence[str] = ()
    where: Where = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one item if the condition holds."""

    key: Key
    where: Where = ()


@dataclass(frozen=True, slots=True)
class Check:
    """Require a condition of an item that the transaction does not write."""

    key: Key
    where: Where


Write = Put | Update | Delete | Check
ABSENT: Where = (("pk", "absent", None),)
PRESENT: Where = (("pk", "present", None),)


class Table:
    """One DynamoDB table with keys `pk` and `sk`."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name

    def get(self, key: Key) -> Item | None:
        """Return the current item (strongly consistent), or None."""
        reply = self._client.get_item(TableName=self.name, Key=_key(key), ConsistentRead=True)
        return decode(reply["Item"]) if "Item" in reply else None

    def batch_get(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Return the items that exist among at most 100 `keys`, by key. One call, unless AWS throttles."""
        wanted = [_key(key) for key in dict.fromkeys(keys)]
        found: dict[Key, Item] = {}
        for attempt in range(ATTEMPTS):
            if not wanted:
                break
            pause(attempt)
            request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
            reply = self._client.batch_get_item(RequestItems=request)
            for raw in reply["Responses"].get(self.name, ()):
                item = decode(raw)
                found[item["pk"], item["sk"]] = item
            wanted = reply.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
        if wanted:
            raise Contended
        return found

    def put(self, item: Item, where: Where = ()) -> None:
        """Write a whole item. Raises ConditionFailed, and Contended if transactions kept locking the item."""
        expression = _Expression()
        request = {"TableName": self.name, "Item": encode(item), **expression.condition(where)}
        self._conditional(self._client.put_item, request)

    def update(self, update: Update) -> Item:
        """Change attributes of one item and return the item after the change. Raises as `put`."""
        request = {"TableName": self.name, "ReturnValues": "ALL_NEW", **_update(update)}
        return decode(self._conditional(self._client.update_item, request)["Attributes"])

    def delete(self, key: Key, where: Where = ()) -> None:
        """Delete one item, if it exists. Raises as `put`."""
        expression = _Expression()
        self._conditional(
            self._client.delete_item, {"TableName": self.name, "Key": _key(key), **expression.condition(where)}
        )

    def transact(self, writes: Sequence[Write]) -> None:
        """Do all of `writes` (at most 100) or none. Conflicts and throttles are retried with jitter.

        Raises Cancelled if a condition failed, and Contended if the attempts were spent.
        """
        request = [self._transact_item(write) for write in writes]
        token = uuid4().hex
        for attempt in range(ATTEMPTS):
            pause(attempt)
            try:
                self._client.transact_write_items(TransactItems=request, ClientRequestToken=token)
                return
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "TransactionCanceledException":
                    reasons = _reasons(error.response)
                    if any(reason.code not in _TRANSIENT for reason in reasons):
                        raise Cancelled(reasons) from error
                    # It changed nothing and is over: the next attempt is another transaction.
                    token = uuid4().hex
                # A transaction in progress is asked for under its own token again: under another one its writes, such
                # as counting one, could happen twice.
                elif code not in ("TransactionInProgressException", "TransactionConflictException"):
                    raise
        raise Contended

    def batch_delete(self, keys: Iterable[Key]) -> None:
        """Delete many items without conditions. Items that do not exist are ignored."""
        left = [{"DeleteRequest": {"Key": _key(key)}} for key in keys]
        attempt = 0
        while left:
            if attempt == ATTEMPTS:
                raise Contended
            pause(attempt)
            chunk, left = left[:25], left[25:]
            unprocessed = self._client.batch_write_item(RequestItems={self.name: chunk}).get("UnprocessedItems", {})
            undone = unprocessed.get(self.name, [])
            left = undone + left
            attempt = attempt + 1 if undone else 0

    def query(
        self,
        pk: str,
        *,
        begins: str | None = None,
        between: tuple[str, str] | None = None,
        before: str | None = None,
        after: str | None = None,
        index: tuple[str, str, str] | None = None,
        limit: int | None = None,
        descending: bool = False,
        where: Where = (),
    ) -> Iterator[Item]:
        """Yield the items of one partition in key order, reading lazily, page by page.

        One of `begins`, `between` (inclusive), `before` and `after` (exclusive) narrows the sort key. `index` is
        `(name, partition attribute, sort attribute)`; without it the read is strongly consistent. `limit` bounds the
        items read per page, not the result: stop iterating when you have enough. `where` filters what was read.
        """
        name, hash_key, range_key = index or (None, "pk", "sk")
        expression = _Expression()
        terms: list[Term] = [(hash_key, "=", pk)]
        if begins is not None:
            terms.append((range_key, "begins", begins))
        if before is not None:
            terms.append((range_key, "<", before))
        if after is not None:
            terms.append((range_key, ">", after))
        key_condition = expression.all(terms)
        if between is not None:
            low, high = expression.value(between[0]), expression.value(between[1])
            key_condition += f" AND {expression.name(range_key)} BETWEEN {low} AND {high}"
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": key_condition,
            "ScanIndexForward": not descending,
        }
        if where:
            request["FilterExpression"] = expression.all(where)
        if name:
            request["IndexName"] = name
        else:
            request["ConsistentRead"] = True
        if limit:
            request["Limit"] = limit
        request |= expression.attributes()
        while True:
            reply = self._client.query(**request)
            yield from map(decode, reply["Items"])
            if "LastEvaluatedKey" not in reply:
                return
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]

    def scan(self) -> Iterator[Item]:
        """Yield every item of the table; each page is strongly consistent. Not for requests."""
        for page in self._client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True):
            yield from map(decode, page["Items"])

    def _conditional(self, call: Any, request: dict[str, Any]) -> dict[str, Any]:
        for attempt in range(ATTEMPTS):
            pause(attempt)
            try:
                return dict(call(**request, ReturnValuesOnConditionCheckFailure="ALL_OLD"))
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ConditionalCheckFailedException":
                    raw: Any = error.response.get("Item")
                    raise ConditionFailed(decode(raw) if raw else None) from error
                # A transaction has locked the item. botocore does not retry this.
                if code != "TransactionConflictException":
                    raise
        raise Contended

    def _transact_item(self, write: Write) -> dict[str, Any]:
        kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
        match write:
            case Put():
                kind, request = "Put", {"Item": encode(write.item), **_Expression().condition(write.where)}
            case Update():
                kind, request = "Update", _update(write)
            case Delete():
                kind, request = "Delete", {"Key": _key(write.key), **_Expression().condition(write.where)}
            case Check():
                kind = "ConditionCheck"
                request = {"Key": _key(write.key), **_Expression().condition(write.where)}
        return {kind: {"TableName": self.name, "ReturnValuesOnConditionCheckFailure": "ALL_OLD", **request}}


class _Expression:
    """Builds expressions whose names and values are all placeholders."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def name(self, attribute: str) -> str:
        return self._names.setdefault(attribute, f"#{len(self._names)}")

    def value(self, value: Any) -> str:
        placeholder = f":{len(self._values)}"
        self._values[placeholder] = _encode(value)
        return placeholder

    def all(self, where: Where) -> str:
        return " AND ".join(self._term(*term) for term in where)

    def _term(self, attribute: str, operator: Operator, value: Any) -> str:
        name = self.name(attribute)
        if operator == "absent":
            return f"attribute_not_exists({name})"
        if operator == "present":
            return f"attribute_exists({name})"
        if operator == "begins":
            return f"begins_with({name}, {self.value(value)})"
        if operator.startswith("absent or "):
            comparison = operator.removeprefix("absent or ")
            return f"(attribute_not_exists({name}) OR {name} {comparison} {self.value(value)})"
        return f"{name} {operator} {self.value(value)}"

    def condition(self, where: Where) -> dict[str, Any]:
        return {"ConditionExpression": self.all(where), **self.attributes()} if where else {}

    def attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = {"ExpressionAttributeNames": {alias: name for name, alias in self._names.items()}}
        if self._values:
            attributes["ExpressionAttributeValues"] = self._values
        return attributes


def encode(item: Item) -> dict[str, Any]:
    """Return a plain item in DynamoDB's wire format. Raises TypeError for a float and any unsupported type."""
    return {name: _encode(value) for name, value in item.items()}


def decode(raw: Mapping[str, Any]) -> Item:
    """Return an item in DynamoDB's wire format as plain Python."""
    return {name: _decode(value) for name, value in raw.items()}


def _encode(value: Any) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, Mapping):
        return {"M": {name: _encode(inner) for name, inner in value.items()}}
    if isinstance(value, list | tuple):
        return {"L": [_encode(inner) for inner in value]}
    raise TypeError(f"{type(value).__name__} can't be stored in a table")


def _decode(value: Mapping[str, Any]) -> Any:
    ((kind, inner),) = value.items()
    match kind:
        case "N":
            return int(inner)
        case "M":
            return decode(inner)
        case "L":
            return [_decode(each) for each in inner]
        case "NULL":
            return None
        case "B":
            return bytes(inner)
        case _:
            return inner


def _key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _update(update: Update) -> dict[str, Any]:
    expression = _Expression()
    assignments = [f"{expression.name(name)} = {expression.value(value)}" for name, value in update.set.items()]
    assignments += [
        f"{expression.name(name)} = if_not_exists({expression.name(name)}, {expression.value(value)})"
        for name, value in update.set_if_absent.items()
    ]
    clauses = []
    if assignments:
        clauses.append("SET " + ", ".join(assignments))
    if update.add:
        clauses.append("ADD " + ", ".join(f"{expression.name(n)} {expression.value(v)}" for n, v in update.add.items()))
    if update.remove:
        clauses.append("REMOVE " + ", ".join(map(expression.name, update.remove)))
    request = {"Key": _key(update.key), "UpdateExpression": " ".join(clauses)}
    if update.where:
        request["ConditionExpression"] = expression.all(update.where)
    return request | expression.attributes()


def _reasons(response: Mapping[str, Any]) -> list[Reason]:
    return [
        Reason(reason.get("Code", "None"), decode(reason["Item"]) if reason.get("Item") else None)
        for reason in response.get("CancellationReasons", ())
    ]
