"""The sagas' state machines in AWS Step Functions."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from common.aws import client
from common.config import config
from common.contracts.transfers import Completed
from common.observability import logger

from functions.transfers.domain.lifecycle import LIFECYCLES, SagaUnavailable
from functions.transfers.domain.transfers import Transfer

# An endpoint has 29 s. After the saga's 20, the rest is for the approval, the record and a 202.
_SYNC_SECONDS = 20
_TOKEN_EXPIRED = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


class StepFunctions:
    """Starts the saga of a transfer's kind, and resumes sagas that wait."""

    def run(self, transfer: Transfer) -> Completed:
        """Run a saga to its end and return its outcome.

        Raises SagaUnavailable if there is none in time. The saga may still be running then.
        """
        try:
            # One attempt: a second one would run the saga a second time.
            reply = client("stepfunctions", attempts=1, read_timeout=_SYNC_SECONDS).start_sync_execution(
                stateMachineArn=_state_machine(transfer), input=_input(transfer)
            )
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(transfer, type(error).__name__, str(error)) from error
        if reply["status"] != "SUCCEEDED":
            raise _unavailable(transfer, reply["status"])
        return Completed(**json.loads(reply["output"]))

    def start(self, transfer: Transfer, attempt: int) -> None:
        """Start a saga without waiting. Each attempt starts only once. Raises SagaUnavailable."""
        try:
            client("stepfunctions").start_execution(
                stateMachineArn=_state_machine(transfer), name=f"{transfer.id}-{attempt}", input=_input(transfer)
            )
        except (ClientError, BotoCoreError) as error:
            if not _is(error, {"ExecutionAlreadyExists"}):
                raise _unavailable(transfer, type(error).__name__, str(error)) from error

    def resume(self, task_token: str, outcome: dict[str, Any]) -> bool:
        """Pass an outcome to a waiting step. Returns False if the step no longer waits or already has an outcome."""
        try:
            client("stepfunctions").send_task_success(taskToken=task_token, output=json.dumps(outcome))
        except ClientError as error:
            if not _is(error, _TOKEN_EXPIRED):
                raise
            return False
        return True


def _state_machine(transfer: Transfer) -> str:
    return config().state_machine(LIFECYCLES[transfer.kind].saga)


def _input(transfer: Transfer) -> str:
    # AWS takes 256 KiB of UTF-8. Escaping makes twelve bytes of four, and the largest metadata would not fit.
    return json.dumps(transfer.saga_input(), ensure_ascii=False)


def _is(error: Exception, codes: set[str]) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in codes


def _unavailable(transfer: Transfer, fault: str, detail: str = "") -> SagaUnavailable:
    logger().error("saga failed", extra={"transfer_id": transfer.id, "fault": fault, "detail": detail})
    return SagaUnavailable(transfer.id)
