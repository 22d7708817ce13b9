"""The sandbox rail: stands for card networks and banks, and answers by a message, as those do by a callback."""

import json
from typing import Literal, NamedTuple

from common.aws import client
from common.config import config
from common.tasks import Submit, Submitted


class RailAnswer(NamedTuple):
    """What the rail will say, and after how many seconds."""

    outcome: Literal["confirmed", "declined"]
    code: str
    seconds: int


class SandboxRail:
    """Decides by the instrument's last digits alone, so that submitting a transfer again gets the same answer."""

    def submit(self, request: Submit) -> Submitted:
        """Takes a deposit; its answer comes over the rail's queue, or never."""
        answer = answer_to(request.instrument, request.last4)
        if answer is not None:
            message = {
                "transfer_id": request.transfer_id,
                "task_token": request.task_token,
                "outcome": answer.outcome,
                "code": answer.code,
            }
            client("sqs").send_message(
                QueueUrl=config().rail_queue, MessageBody=json.dumps(message), DelaySeconds=answer.seconds
            )
        return Submitted()


def answer_to(instrument: Literal["card", "bank_account"], last4: str) -> RailAnswer | None:
    """The rail's answer to an instrument; None is silence."""
    match instrument, last4:
        case "card", "0002":
            return RailAnswer("declined", "card_declined", 0)
        case "bank_account", "0002":
            return RailAnswer("declined", "bank_declined", 0)
        case "card", "0259":
            return RailAnswer("confirmed", "", 30)
        case "bank_account", "0259":
            return None
        case _:
            return RailAnswer("confirmed", "", 0)
