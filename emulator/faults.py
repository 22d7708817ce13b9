"""Fault rules, which make chosen AWS calls of functions fail, and the log of the AWS calls that functions made."""

import itertools
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any, Literal, get_args

When = Literal["before", "after"]
Effect = Literal["kill", "throttle", "conflict", "lost_reply", "delay", "error"]
LOGGED_CALLS = 50_000

_XML_SERVICES = {"sns", "ses", "sts", "iam", "cloudformation", "monitoring"}
_REST_SERVICES = {"lambda", "scheduler", "apigateway", "execute-api", "s3"}
_DYNAMODB = "com.amazonaws.dynamodb.v20120810#"


@dataclass
class Rule:
    """A fault for the `nth` matching call from now and the `times - 1` calls after it (`times` 0: all of them)."""

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
        """Return the rule that a request describes. Raises ValueError if it is not valid."""
        unknown = data.keys() - (cls.__dataclass_fields__.keys() - {"id", "seen", "fired"})
        if unknown:
            raise ValueError(f"Unknown field: {', '.join(sorted(unknown))}.")
        if data.get("do") not in get_args(Effect):
            raise ValueError(f"`do` must be one of {', '.join(get_args(Effect))}.")
        if data.get("when", "before") not in get_args(When):
            raise ValueError(f"`when` must be one of {', '.join(get_args(When))}.")
        return cls(**data)

    def matches(self, names: Iterable[str], service: str, operation: str) -> bool:
        """Return whether the rule applies to a call by the function with these names (logical and physical)."""
        return (
            fnmatchcase(service, self.service)
            and fnmatchcase(operation, self.operation)
            and any(fnmatchcase(name, self.function) for name in names)
        )

    def fires(self) -> bool:
        """Count one matching call and return whether the fault applies to it."""
        self.seen += 1
        due = self.seen >= self.nth and (self.times == 0 or self.fired < self.times)
        self.fired += due
        return due


@dataclass
class Rules:
    """The active rules, in the order in which they were added."""

    rules: list[Rule] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: Lock = field(default_factory=Lock)

    def add(self, data: dict[str, Any]) -> Rule:
        """Add a rule. Raises ValueError if it is not valid."""
        rule = Rule.parse(data)
        rule.id = next(self._ids)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove every rule."""
        self.rules.clear()

    def take(self, names: Iterable[str], service: str, operation: str) -> Rule | None:
        """Return the first rule that fires for this call. Every matching rule counts the call."""
        names = list(names)
        with self._lock:  # invocations come from many threads; only one of them is the nth call
            fired = [rule for rule in self.rules if rule.matches(names, service, operation) and rule.fires()]
        return fired[0] if fired else None

    def list(self) -> list[dict[str, Any]]:
        """Return the rules, with how often each matched (`seen`) and fired."""
        return [asdict(rule) for rule in self.rules]


@dataclass(frozen=True)
class Call:
    """An AWS call of a function. `iam` holds the (action, resource) pairs that AWS would authorize."""

    service: str
    operation: str
    iam: tuple[tuple[str, str], ...]


class CallLog:
    """The latest AWS calls of functions, oldest first."""

    def __init__(self) -> None:
        self._calls: deque[dict[str, Any]] = deque(maxlen=LOGGED_CALLS)
        self._sequence = itertools.count(1)
        self._last = time.monotonic()

    def add(self, call: Call, *, at: str, function: str, function_name: str, status: int, fault: str | None) -> None:
        """Add one call. Status 0 means that it got no response."""
        self._last = time.monotonic()
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
        """Return the calls after the one with this sequence number."""
        return [call for call in list(self._calls) if call["seq"] > sequence]

    def idle_seconds(self) -> float:
        """Return the time since the last call."""
        return time.monotonic() - self._last

    def clear(self) -> None:
        """Remove every call. Sequence numbers go on."""
        self._calls.clear()


def error_response(effect: Effect, service: str, operation: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return the error (status, headers, body) of the service for a throttled, conflicting or failed call."""
    if effect == "throttle":
        return _error(service, _throttle_code(service), "Rate exceeded", 429 if service in _REST_SERVICES else 400)
    if effect == "conflict" and operation == "TransactWriteItems":
        return _cancelled(len(json.loads(body)["TransactItems"]))
    if effect == "conflict":
        return _error(service, "TransactionConflictException", "Transaction is ongoing for the item", 400)
    code = "ServiceException" if service == "lambda" else "InternalServerError"
    return _error(service, code, "Internal server error", 500)


def _throttle_code(service: str) -> str:
    codes = {
        "dynamodb": "ProvisionedThroughputExceededException",
        "lambda": "TooManyRequestsException",
        "sns": "Throttled",
        "ses": "Throttling",
        "sqs": "RequestThrottled",
    }
    return codes.get(service, "ThrottlingException")


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
