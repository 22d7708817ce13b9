"""Runs a state machine of statemachines/ with moto's interpreter of the language. Its functions are Python callables.

Waits between retries and for a task token take no time. They are recorded.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
import yaml
from jsonata import Jsonata
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackEndpoint
from moto.stepfunctions.parser.asl.jsonata import jsonata
from moto.stepfunctions.parser.utils import TMP_THREADS

from tests.support.tables import ROOT

Function = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Execution:
    """The end of an execution, and the states that it entered, in order."""

    status: str
    output: Any
    error: str | None
    states: list[str]


@dataclass
class StateMachine:
    """A deployed saga: the functions that it `invoked`, with their payloads, and its `waits` in seconds."""

    arn: str
    client: Any
    functions: dict[str, Function]
    invoked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    _names: Iterator[int] = field(default_factory=count)

    def run(self, state: Any) -> Execution:
        """Run the saga to its end."""
        started = self.client.start_execution(
            stateMachineArn=self.arn, name=f"run-{next(self._names)}", input=json.dumps(state)
        )
        for thread in list(TMP_THREADS):
            thread.join(timeout=30)
        arn = started["executionArn"]
        ended = self.client.describe_execution(executionArn=arn)
        events = self.client.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        entered = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
        output = json.loads(ended["output"]) if "output" in ended else None
        return Execution(ended["status"], output, ended.get("error"), entered)

    def calls(self, function: str) -> list[dict[str, Any]]:
        """Return the payloads with which a function was invoked."""
        return [payload for name, payload in self.invoked if name == function]

    def invoke(self, parameters: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Invoke a function as lambda:Invoke does: an exception becomes a function error."""
        name, payload = parameters["FunctionName"], json.loads(parameters["Payload"])
        self.invoked.append((name, payload))
        try:
            answer = self.functions[name](payload)
        except Exception as error:  # noqa: BLE001 (any exception of a function)
            failure = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": failure}
        return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}


def definition(saga: str) -> str:
    """Return a saga's definition with each `${Function}` replaced by its own name."""
    source = (ROOT / "statemachines" / f"{saga}.asl.yaml").read_text()
    return json.dumps(yaml.safe_load(re.sub(r"\$\{(\w+)\}", r"\1", source)))


@contextmanager
def deployed(saga: str, **functions: Function) -> Iterator[StateMachine]:
    """Deploy a saga within `moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}})`."""
    client = boto3.client("stepfunctions")
    role = "arn:aws:iam::123456789012:role/saga"
    arn = client.create_state_machine(name=f"remit-{saga}", definition=definition(saga), roleArn=role)
    machine = StateMachine(arn["stateMachineArn"], client, functions)

    def waited(endpoint: Any, timeout: float | None = None) -> Any:
        if endpoint.get_outcome() is None and timeout is not None:
            machine.waits.append(timeout)
        return endpoint.get_outcome()

    with (
        mock.patch.object(jsonata, "_eval_jsonata", lambda expression: Jsonata(expression).evaluate(None)),
        mock.patch.object(lambda_eval_utils, "_invoke_lambda_function", machine.invoke),
        mock.patch.object(retrier_decl, "time", SimpleNamespace(sleep=machine.waits.append)),
        mock.patch.object(CallbackEndpoint, "wait", waited),
    ):
        yield machine
