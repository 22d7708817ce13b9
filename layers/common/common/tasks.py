"""Tasks: a function invoked by name, by another context or by a saga. Tasks are not reachable over HTTP.

The caller writes `call(POST, Post(...))`; the context that serves the task writes `handler = serve(POST, ...)`. A
Refusal raised while serving travels as a value and is raised again by `call`. Any other exception is a fault.
"""

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from common.aws import client
from common.config import config
from common.contracts.task import Task
from common.errors import Refusal, TaskFailed
from common.observability import logger

RequestT = TypeVar("RequestT")
OutcomeT = TypeVar("OutcomeT")

_REFUSAL = "refusal"
_CALL_ATTEMPTS = 2  # a caller that waits for more has no time left to answer


def call(task: Task[RequestT, OutcomeT], request: RequestT) -> OutcomeT:
    """Invoke the function of `task` and return its outcome. Raises Refusal if the task refuses, else TaskFailed."""
    reply = client("lambda", attempts=_CALL_ATTEMPTS).invoke(
        FunctionName=config().function(task.name),
        Payload=json.dumps(asdict(request)).encode(),  # type: ignore[call-overload]
    )
    payload = json.loads(reply["Payload"].read() or b"null")
    if "FunctionError" in reply or not isinstance(payload, dict):
        raise TaskFailed(task.name)
    if _REFUSAL in payload:
        refusal = payload[_REFUSAL]
        raise Refusal(refusal["code"], refusal["detail"], retry_after=refusal["retry_after"])
    return decode(task.outcome, payload)


def serve(task: Task[RequestT, OutcomeT], run: Callable[[RequestT], OutcomeT]) -> Callable[[dict[str, Any], Any], Any]:
    """Return the Lambda handler of a task. It writes one log line a call; the text of a fault stays in the log."""

    def handler(event: dict[str, Any], context: Any) -> Any:
        try:
            request = decode(task.request, event)
        except ValueError as error:
            # The message names fields and types only: a value may be a PIN.
            logger().error("task request invalid", extra={"task": task.name, "fault": str(error)})
            raise TaskFailed(task.name) from None
        try:
            outcome = run(request)
        except Refusal as refusal:
            logger().info("task refused", extra={"task": task.name, "code": refusal.code})
            return {
                _REFUSAL: {"code": refusal.code, "detail": refusal.detail, "retry_after": refusal.retry_after},
            }
        except Exception as error:
            logger().exception("task failed", extra={"task": task.name})
            raise TaskFailed(task.name) from error
        logger().info("task done", extra={"task": task.name, "outcome": getattr(outcome, "outcome", None)})
        return asdict(outcome)  # type: ignore[call-overload]

    return handler


def decode(kind: type[OutcomeT], value: Any) -> OutcomeT:
    """Return the dataclass that `value`, decoded JSON, stands for. Nothing is coerced; unknown fields are ignored.

    Raises ValueError, naming the field, if a value is missing or is not of its field's type. Own code and not
    pydantic, whose import alone is a third of a task's cold start.
    """
    decoded: OutcomeT = _decoded(kind, value, "")
    return decoded


def _decoded(kind: Any, value: Any, at: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _record(kind, value, at)
    if origin is Literal:
        valid = isinstance(value, str) and value in arguments
    elif origin in (types.UnionType, Union):
        if value is None and type(None) in arguments:
            return None
        return _decoded(next(each for each in arguments if each is not type(None)), value, at)
    elif origin is not None and issubclass(origin, Mapping):
        valid = isinstance(value, dict)
    elif kind is int and isinstance(value, float) and value.is_integer():
        # JSONata's numbers are doubles, so a state machine may write an integer as 1.0E7.
        return int(value)
    else:
        # bool is a subclass of int, and an amount of True must not pass.
        valid = type(value) is kind
    if not valid:
        raise ValueError(f"{at or '/'}: expected {getattr(kind, '__name__', kind)}")
    return value


def _record(kind: Any, value: Any, at: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{at or '/'}: expected an object")
    decoded = {}
    for name, (annotation, required) in _fields_of(kind).items():
        if name in value:
            decoded[name] = _decoded(annotation, value[name], f"{at}/{name}")
        elif required:
            raise ValueError(f"{at}/{name}: missing")
    return kind(**decoded)


@cache
def _fields_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    hints = get_type_hints(kind)
    return {
        each.name: (hints[each.name], each.default is MISSING and each.default_factory is MISSING)
        for each in fields(kind)
    }
