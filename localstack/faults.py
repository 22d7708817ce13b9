"""Fault rules and the record of AWS calls: which call of which function fails how, and what each call asks IAM for."""

import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any, Literal, get_args

When = Literal["before", "after"]
Effect = Literal["kill", "throttle", "conflict", "lost_reply", "delay", "error"]
RECORDED = 50_000

_XML_SERVICES = {"sns", "ses", "sts", "iam", "cloudformation", "monitoring"}
_REST_SERVICES = {"lambda", "scheduler", "apigateway", "execute-api", "s3"}
_DYNAMODB = "com.amazonaws.dynamodb.v20120810#"


@dataclass
class Rule:
    """One fault: the nth matching call from now, and the `times - 1` after it (0: every one), meet it."""

    do: Effect
    when: When = "before"
    function: str = "*"
    service: str = "*"
    operation: str = "*"
    nth: int = 1
    times: int = 1
    seconds: float = 0.0
    id: int = 0
    seen: int = 0
    fired: int = 0

    @classmethod
    def parse(cls, data: dict[str, Any]) -> "Rule":
        """A rule from a request; ValueError says what is wrong with it."""
        unknown = data.keys() - (cls.__dataclass_fields__.keys() - {"id", "seen", "fired"})
        if unknown:
            raise ValueError(f"no such field: {', '.join(sorted(unknown))}")
        if data.get("do") not in get_args(Effect):
            raise ValueError(f"do: one of {', '.join(get_args(Effect))}")
        if data.get("when", "before") not in get_args(When):
            raise ValueError(f"when: one of {', '.join(get_args(When))}")
        return cls(**data)

    def matches(self, names: Iterable[str], service: str, operation: str) -> bool:
        """Whether a call by the function of these names (logical, physical) is meant."""
        return (
            fnmatchcase(service, self.service)
            and fnmatchcase(operation, self.operation)
            and any(fnmatchcase(name, self.function) for name in names)
        )

    def fires(self) -> bool:
        """Count one matching call; whether it meets the fault."""
        self.seen += 1
        due = self.seen >= self.nth and (self.times == 0 or self.fired < self.times)
        self.fired += due
        return due


@dataclass
class Rules:
    """The rules in force, in the order they were added."""

    rules: list[Rule] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: Lock = field(default_factory=Lock)

    def add(self, data: dict[str, Any]) -> Rule:
        """Put a rule in force."""
        rule = Rule.parse(data)
        rule.id = next(self._ids)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Lift every rule."""
        self.rules.clear()

    def take(self, names: Iterable[str], service: str, operation: str) -> Rule | None:
        """The first rule that fires on this call. Every matching rule counts the call."""
        names = list(names)
        with self._lock:  # invocations come from many threads, and the nth call is exactly one
            fired = [rule for rule in self.rules if rule.matches(names, service, operation) and rule.fires()]
        return fired[0] if fired else None

    def list(self) -> list[dict[str, Any]]:
        """The rules, with how often each was met."""
        return [asdict(rule) for rule in self.rules]


@dataclass(frozen=True)
class Call:
    """An AWS request of a function, as IAM sees it: `iam` holds the (action, resource) pairs that AWS would check."""

    service: str
    operation: str
    iam: tuple[tuple[str, str], ...]


class Record:
    """The calls the functions made, newest last; the oldest are forgotten."""

    def __init__(self) -> None:
        self._calls: deque[dict[str, Any]] = deque(maxlen=RECORDED)
        self._sequence = itertools.count(1)

    def add(self, call: Call, *, at: str, function: str, function_name: str, status: int, fault: str | None) -> None:
        """Note one call; status 0: it got no answer."""
        self._calls.append(
            {
                "seq": next(self._sequence),
                "at": at,
                "function": function,
                "function_name": function_name,
                "service": call.service,
                "operation": call.operation,
                "action": f"{call.service}:{call.operation}",
                "iam": [{"action": action, "resource": resource} for action, resource in call.iam],
                "resources": sorted({resource for _, resource in call.iam}),
                "status": status,
                "fault": fault,
            }
        )

    def since(self, sequence: int) -> list[dict[str, Any]]:
        """The calls after this one."""
        return [call for call in list(self._calls) if call["seq"] > sequence]

    def clear(self) -> None:
        """Forget every call; the numbers go on."""
        self._calls.clear()


def refusal(effect: Effect, service: str, operation: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """The answer of the service itself to a throttled, conflicting or failed call: status, headers, body."""
    if effect == "throttle":
        return _error(service, _throttle_code(service), "Rate exceeded", 429 if service in _REST_SERVICES else 400)
    if effect == "conflict" and operation == "TransactWriteItems":
        return _cancelled(len(json.loads(body)["TransactItems"]))
    if effect == "conflict":
        return _error(service, "TransactionConflictException", "Transaction is ongoing for the item", 400)
    code = "ServiceException" if service == "lambda" else "InternalServerError"
    return _error(service, code, "Internal server error", 500)


def _throttle_code(service: str) -> str:
    named = {
        "dynamodb": "ProvisionedThroughputExceededException",
        "lambda": "TooManyRequestsException",
        "sns": "Throttled",
        "ses": "Throttling",
        "sqs": "RequestThrottled",
    }
    return named.get(service, "ThrottlingException")


def _error(service: str, code: str, message: str, status: int) -> tuple[int, dict[str, str], bytes]:
    if service in _XML_SERVICES:
        kind = "Sender" if status < 500 else "Receiver"
        error = f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return status, {"content-type": "text/xml"}, f"<ErrorResponse>{error}</ErrorResponse>".encode()
    prefix = _DYNAMODB if service == "dynamodb" else ""
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": prefix + code, "message": message}).encode()


def _cancelled(items: int) -> tuple[int, dict[str, str], bytes]:
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
    reasons += [{"Code": "None"}] * (items - 1)
    body = {
        "__type": f"{_DYNAMODB}TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons "
        f"[{', '.join(reason['Code'] for reason in reasons)}]",
        "CancellationReasons": reasons,
    }
    return 400, {"content-type": "application/x-amz-json-1.0"}, json.dumps(body).encode()
