"""The state machines, as AWS Step Functions runs them."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from common.aws import client
from common.config import config
from common.observability import logger
from common.tasks import Completed

from functions.transfers.domain import SagaUnavailable, Transfer

# The endpoint has 29 s: what is left after the saga's 20 is for authorizing, recording, and answering 202.
_SYNC_SECONDS = 20
_TOKEN_IS_OVER = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}


class StepFunctions:
    """Starts sagas, each under the name of its kind, and hands them what they wait for."""

    def run(self, transfer: Transfer) -> Completed:
        """Runs a saga to its end. Raises SagaUnavailable where that is not reached in time; it may still be."""
        try:
            # One attempt: a second would run the saga a second time.
            reply = client("stepfunctions", attempts=1, read_timeout=_SYNC_SECONDS).start_sync_execution(
                stateMachineArn=config().state_machine(transfer.kind), input=_input(transfer)
            )
        except (ClientError, BotoCoreError) as error:
            raise _unavailable(transfer, error) from error
        if reply["status"] != "SUCCEEDED":
            logger().error("saga", extra={"transfer_id": transfer.id, "fault": reply["status"]})
            raise SagaUnavailable(transfer.id)
        return Completed(**json.loads(reply["output"]))

    def start(self, transfer: Transfer, attempt: int) -> None:
        """Starts a saga and does not wait. The same attempt starts once. Raises SagaUnavailable."""
        try:
            client("stepfunctions").start_execution(
                stateMachineArn=config().state_machine(transfer.kind),
                name=f"{transfer.id}-{attempt}",
                input=_input(transfer),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise _unavailable(transfer, error) from error
        except BotoCoreError as error:
            raise _unavailable(transfer, error) from error

    def resume(self, task_token: str, outcome: dict[str, Any]) -> bool:
        """Hands a waiting step its outcome; False where it waits no longer, or has been handed one before."""
        try:
            client("stepfunctions").send_task_success(taskToken=task_token, output=json.dumps(outcome))
        except ClientError as error:
            if error.response["Error"]["Code"] not in _TOKEN_IS_OVER:
                raise
            return False
        return True


def _input(transfer: Transfer) -> str:
    # AWS takes 256 KiB of UTF-8. Escaped, four bytes of it would be twelve, and the largest metadata too much.
    return json.dumps(transfer.saga_input(), ensure_ascii=False)


def _unavailable(transfer: Transfer, error: Exception) -> SagaUnavailable:
    logger().error("saga", extra={"transfer_id": transfer.id, "fault": type(error).__name__, "detail": str(error)})
    return SagaUnavailable(transfer.id)
